"""Every picture is looked at once: broken ones set aside, duplicates grouped, splits given."""
