"""A service on one machine: an HTTP interface, live frames over a WebSocket, and a page. Needs the extra ``serve``."""
