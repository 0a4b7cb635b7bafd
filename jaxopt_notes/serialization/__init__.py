"""Leaves of pytrees in files: exactly what was written comes back, or an error names the leaf.

`leaf` turns a leaf of any dtype into a plain NumPy array and a few words on what it was, and back. `npz` and
`safetensors` keep such arrays by name in a file and trust nothing in it. `atomic` writes a file whole or not
at all. Checkpoints, parameters, the folders of sweeps and the states of strategies all go this way.
"""
