"""The playground: a local page on which a person clicks points, builds a network, and watches this very engine train it.

Read `session.py` first (what one person has on the page, and how it trains), then `worker.py` (when it trains, and when the page
hears of it), `commands.py` (what the page may ask for), `server.py` and `websocket.py` (how both talk); `page/` is what the browser runs.
"""
