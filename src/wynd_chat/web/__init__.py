"""The chat's web page: its files, and how they are to be served.

The page itself lies in `page/`; the browser loads what is in the repository.
"""

from wynd_chat.web.assets import Asset, Assets, load_assets

__all__ = ["Asset", "Assets", "load_assets"]
