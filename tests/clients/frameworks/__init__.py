"""People's frameworks against a worker, in the environment of requirements.txt.

Each module has the tries of one framework: functions without arguments whose names say what is
tried. They return what they got; the test that runs them knows what is right.
"""
