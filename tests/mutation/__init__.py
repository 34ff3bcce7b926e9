"""Formulas changed on purpose, one at a time: does a fast test notice?"""
