"""What the documentation's pages are made of: the parts that are read from code, tests and measurements.

`mkdocs.yml` names `hooks`, which puts the pages together while MkDocs builds; every other file here makes
one kind of page and returns Markdown, so that it can be tested without a build.
"""
