"""What the Functions host does, for one machine: routes, methods, key levels, timers, queues."""
