"""The markup of models with a chat template: a table of families, and one machine that reads them all. Pure. Open
`family.py` first.

`families` and `more_families` are the rows, `family` defines a row, `detect` finds the row of a model. `machine` reads
an answer by its row; `parser` puts the machine behind `dialects.base.Parser`. `writer` writes calls by a row, and
`tags` the constraints on sampling.
"""
