"""REST: routes, what they take and answer, and the server they run in."""
