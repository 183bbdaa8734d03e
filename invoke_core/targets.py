"""The URL a task may reach: suffix, policy, dot segments."""
