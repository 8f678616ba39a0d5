"""Settings: all options, where their values come from, and their texts.

The command line loads them once; every wing below the door is given its own group and nothing else. Nothing here may
start, open or import what a setting is about: `--help` has to be quick. Open `fields.py` first: it is the one list of
settings, and flags, variables, the configuration file and the documentation are all derived from it.
"""
