"""The command line: `jaxopt-notes sweep`, the main job, `study` and `optimizers`."""

from jaxopt_notes.cli.arguments import main

__all__ = ["main"]
