"""Attacks that were tried and must not work: what strangers can reach over HTTP, each as a test."""
