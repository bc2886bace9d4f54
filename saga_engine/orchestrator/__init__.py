"""The orchestrator: intake of replies and due sagas, one commit for many of them, and sending what was committed."""
