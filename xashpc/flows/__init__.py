"""Flows: builders that expand a campaign into FireWorks."""
