"""Imported once by the pool's fork server: every worker forked from it has the parser loaded and warm."""

import logging

from spurious.verify.symbolic import same_expression

logging.getLogger("math_verify").setLevel(logging.CRITICAL)  # it warns that we bring our own time limits
logging.getLogger("latex2sympy2_extended").setLevel(logging.CRITICAL)
same_expression(r"\frac{x+1}{2}", r"\frac{1+x}{2}")
same_expression("x<1", "1>x")
