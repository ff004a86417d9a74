"""The outbox: lineage events are kept in a local file before anyone sends them, and sent when the collector takes them.

``OutboxTransport`` is a transport for openlineage-python, and can be named in any of its configurations:

    transport:
      type: emitter.outbox.OutboxTransport
      url: http://127.0.0.1:5000
"""

from __future__ import annotations

import logging

from emitter.outbox.config import OutboxConfig
from emitter.outbox.transport import OutboxTransport

__all__ = ["OutboxConfig", "OutboxTransport"]

# a job whose logging is not configured says nothing more with lineage than without
logging.getLogger(__name__).addHandler(logging.NullHandler())
