from __future__ import annotations

from hiveminddb.cli.main import main

main()
