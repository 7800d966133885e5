"""Agreement of raters as pure statistics: one file per coefficient, all of them functions of sums over cases.

Every coefficient is computed from sums that are added up case by case. So a resample of the cases is a product of
weights and sums, and two thousand of them take a second. numpy and scipy are imported inside functions: the web
process never loads them.
"""
