"""The network of Phi 1 and 2 in Microsoft's first layout."""

from __future__ import annotations

from mlcx.architectures.phi_msft import Config
from mlcx.models import phi

__all__ = ["Model"]


class Model(phi.Model):
    """The language model, with its cache in ``dtype``; never tied."""

    def __init__(self, config: Config, dtype: str) -> None:
        super().__init__(config.as_phi(), dtype)
