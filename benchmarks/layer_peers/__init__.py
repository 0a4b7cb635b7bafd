"""The same few layers in each library, as functions of arrays: what `benchmarks.layer_facts` measures.

A module has, under the same names, functions that make a layer with its default arguments and run it once.
Arrays are NumPy's, float32, images and signals with the channels last. What a library refuses, raises.
"""
