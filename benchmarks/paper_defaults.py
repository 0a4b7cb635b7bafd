"""The numbers that the papers give: each in the algorithm's listing, or named there as recommended.

What a paper leaves to its reader is not here. Names and meanings of the arguments are ours: Adan's β are
1 − b1, …. The papers are those of the docstrings' `Source`.
"""

ADAM = {"b1": 0.9, "b2": 0.999, "eps": 1e-8}

PAPER_DEFAULTS: dict[str, dict[str, float | bool | str | tuple[float, ...]]] = {
    "adadelta": {"rho": 0.95, "eps": 1e-6},
    "rmsprop": {"decay": 0.9},
    "adam": {"learning_rate": 1e-3, **ADAM},
    "adamw": {"learning_rate": 1e-3, **ADAM},
    "adamax": {"learning_rate": 2e-3, "b1": 0.9, "b2": 0.999},
    "nadam": {"learning_rate": 2e-3, "momentum_decay": 4e-3},
    "radam": {"threshold": 4.0},
    "adabelief": {"eps": 1e-8, "eps_root": 1e-8},
    "yogi": {"learning_rate": 1e-2, "b1": 0.9, "b2": 0.999, "eps": 1e-3, "bias_correction": False},
    "adopt": {"b1": 0.9, "b2": 0.9999, "eps": 1e-6, "clip_value": "t^¼"},
    "ademamix": {"b1": 0.9, "b2": 0.999, "b3": 0.9999, "alpha": "4 … 10"},
    "schedule_free_sgd": {"b1": 0.9, "weight_power": 2.0},
    "schedule_free_adamw": {"b1": 0.9, "weight_power": 2.0},
    "prodigy": {"learning_rate": 1.0, **ADAM, "b3": "√b2", "d0": 1e-6},
    "dadapt_sgd": {"learning_rate": 1.0, "d0": 1e-6},
    "dadapt_adam": {"learning_rate": 1.0, **ADAM, "d0": 1e-6},
    "dog": {"learning_rate": 1.0, "r_eps": 1e-6, "eps": 1e-8},
    "lamb": {"b1": 0.9, "b2": 0.999, "eps": 1e-6, "weight_decay": 0.01},
    "lars": {"momentum": 0.9, "trust_coefficient": 1e-3, "weight_decay": 5e-4},
    "lion": {"b1": 0.9, "b2": 0.99},
    "adan": {"b1": 0.98, "b2": 0.92, "b3": 0.99},
    "novograd": {"b1": 0.95, "b2": 0.98},
    "adafactor": {
        "learning_rate": 1e-2, "decay_rate": 0.8, "clipping_threshold": 1.0,
        "eps": 1e-30, "eps_scale": 1e-3, "relative_step": True, "weight_decay": 0.0,
    },
    "sm3": {"eps": 0.0},
    "rprop": {
        "learning_rate": 0.1, "eta_minus": 0.5, "eta_plus": 1.2,
        "min_step_size": 1e-6, "max_step_size": 50.0,
    },
    "fromage": {"learning_rate": 0.01},
    "muon": {
        "ns_coeffs": (3.4445, -4.775, 2.0315), "ns_steps": 5, "beta": 0.95, "eps": 1e-7, "nesterov": True,
    },
    "soap": {"b1": 0.95, "b2": 0.95, "eps": 1e-8, "precondition_frequency": 10},
    "sophia": {
        "b1": 0.96, "b2": 0.99, "eps": 1e-12, "gamma": 0.01, "clip_threshold": 1.0, "update_interval": 10,
    },
    "noisy_sgd": {"gamma": 0.55},
    "lbfgs": {"memory_size": "3 … 20"},
    "levenberg_marquardt": {"damping": 0.01, "increase": 10.0, "decrease": 0.1},
}  # fmt: skip
