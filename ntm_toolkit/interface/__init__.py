"""Interfaces: from the controller's output to the fields of heads, stages and trackers."""
