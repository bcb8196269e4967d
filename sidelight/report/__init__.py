"""Renderings of inventories and findings."""
