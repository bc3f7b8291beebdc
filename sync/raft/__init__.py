"""Consensus: one order of commands on all voters, on pysyncobj as it is published, guarded at every entrance."""
