"""Further cases and wrong answers of the checked exercises of first_step/higher_spikes."""

GRADED = {
    # first_step/higher_spikes
    "ex-hs-window": {
        "cases": "[(2, 0.5, 5e4, 0.4), (4, 0.4, 200, 0.9), (5, 1.2, 1e5, 0.6)]",
        "wrong": {
            "1 / (m**0.5 * moment) ** (1 / degree)": "this is the push r, not the step size",
            "m**0.5 / pull / (m**0.5 * moment)": "degree 1: the strength grows with a power of r",
            "m ** (0.5 - 0.5 / degree)": "the power of m without its constant",
            "m ** (0.5 - 0.5 / degree) / pull": "the activation's moment is left out",
            "m ** (0.5 - 0.5 / degree) / moment ** (1 / degree)": "the pull is left out",
            "m**0.5 / pull / (m * moment) ** (1 / degree)": "a spike has the factor sqrt(m), not m",
            "m**0.5 * pull / (m**0.5 * moment) ** (1 / degree)": (
                "a stronger pull needs a shorter step"
            ),
            "m**0.5 / pull / moment ** (1 / degree)": "the strength has a factor sqrt(m)",
            "m**0.5 / pull * (m**0.5 * moment) ** (1 / degree)": "the root is turned upside down",
        },
    },
    "ex-hs-square": {
        "cases": "[(0.8, 1.05), (1.1, 1.5)]",
        "wrong": {
            "2 * r**2": "the law of small pushes: centring over k does not take out a mean over tau",
            "3**0.5 * 2**0.5 * r**2": "these readouts are not Gaussian",
            "2**0.5 * q * r**2": "the root mean square of the squared push has a root of q",
            "q**0.5 * r**2": "the centred square of k does not have mean square 1",
            "(2 * q) ** 0.5 * r": "the push comes squared",
            "(2 * (q - 1)) ** 0.5 * r**2": "only k is centred, not the push",
            "(3 * q) ** 0.5 * r**2": "the mean map is centred over k",
            "2 * q * r**4": "this is the square of the singular value",
        },
    },
    "ex-hs-sizes": {
        "cases": "[(J, r, np.random.default_rng(8)) for J, r in ((2, 4.0), (4, 2.5))]",
        "wrong": {
            "outliers(Step('tanh', 'sign', 1e6, r, d=300), 4.0)[0][1]": (
                "these are Gaussian readouts: the number of sizes is ignored"
            ),
            "from_the_library(1, r, rng)": "readouts of one size: the number is ignored",
            "from_the_library(count, 1.0, rng)": "the push r is ignored",
            "from_the_library(2 * count, r, rng)": (
                "nodes come in pairs of either sign: half as many sizes"
            ),
            "outliers(Step('tanh', 'sign', 1e6, r, readout=count, d=300), 4.0)[0][0]": (
                "the first singular value, not the second"
            ),
            "outliers(Step('relu', 'sign', 1e6, r, readout=count, d=300), 4.0)[0][1]": (
                "ReLU, not tanh"
            ),
            "from_the_library(count, r, rng) / 2": "the features are divided by sqrt(n)",
            "1.3": "a constant",
        },
    },
    # first_step/higher_spikes_in_depth
    "ex-hs-decade": {
        "cases": "[(2, 2.0), (4, 1.3), (1, 7.0)]",
        "wrong": {
            "factor ** (degree * (degree + 1))": "the exponent of a window is 1/2 - 1/(2 l)",
            "factor ** (2 * degree)": "the window of the next degree moves with m, too",
            "factor ** (2 * (degree + 1))": "the window of this degree moves with m, too",
            "factor ** (1 / (2 * degree * (degree + 1)))": (
                "this is the factor at a width, not the width for a factor"
            ),
            "factor ** (2 * degree * (degree - 1))": "this compares with the degree below",
            "factor ** 12": "the degree is ignored",
            "10.0 ** (2 * degree * (degree + 1))": "the factor is ignored",
        },
    },
    "ex-hs-strong": {
        "cases": "[(0.6, 0.8, 4.0, 5.0), (0.5, 0.2, 1.0, 3.0)]",
        "wrong": {
            """def strong_error(c1, c3, alpha0, alpha):
    whole = one_step.FirstStep("tanh", (0.0, c1, 0.0, c3), alpha0, 1.0)
    return one_step.ridge_risk(whole, 0.0, alpha)
""": "nothing has been taken away: this is the error without a step",
            """def strong_error(c1, c3, alpha0, alpha):
    whole = one_step.FirstStep("tanh", (0.0, c1, 0.0, c3), alpha0, 1.0)
    return one_step.ridge_risk(whole, 1e6, alpha)
""": "the cubic is still there: only the first spike is strong",
            """def strong_error(c1, c3, alpha0, alpha):
    rho2 = c1**2 / (c1**2 + (c1**2 + c3**2) / alpha0)
    noise, left = c3 * (1 - rho2) ** 0.5, c1 * (1 - rho2) ** 0.5
    rest = one_step.FirstStep("tanh", (0.0, left), alpha0, 1.0, noise)
    return one_step.ridge_risk(rest, 0.0, alpha)
""": "a polynomial of degree 3 keeps the cube of the cosine",
            """def strong_error(c1, c3, alpha0, alpha):
    rho2 = c1**2 / (c1**2 + (c1**2 + c3**2) / alpha0)
    left = c1 * (1 - rho2) ** 0.5
    rest = one_step.FirstStep("tanh", (0.0, left), alpha0, 1.0)
    return one_step.ridge_risk(rest, 0.0, alpha)
""": "what the gradient missed of the cubic is noise",
            """def strong_error(c1, c3, alpha0, alpha):
    rho2 = c1**2 / (c1**2 + (c1**2 + c3**2) / alpha0)
    return c1**2 * (1 - rho2) + c3**2 * (1 - rho2**3)
""": "this is the size of what is left, not the error of a fit to it",
            """def strong_error(c1, c3, alpha0, alpha):
    rho2 = c1**2 / (c1**2 + c1**2 / alpha0)
    noise, left = c3 * (1 - rho2**3) ** 0.5, c1 * (1 - rho2) ** 0.5
    rest = one_step.FirstStep("tanh", (0.0, left), alpha0, 1.0, noise)
    return one_step.ridge_risk(rest, 0.0, alpha)
""": "the cubic part of the label makes the gradient noisier, too",
        },
    },
}
