"""The master secret, and what is derived from it: keys for sealing, signing and keyed hashes.

Each purpose has a key of its own (HKDF-SHA256, RFC 5869), so that what one part gives away says
nothing about another. Sealing is AES-256-GCM with a random nonce, bound to what it is for.
"""

import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from leadflood.engine.errors import Bug

NONCE_BYTES = 12
LEAST_CHARS = 32


class Vault:
    """Derives keys from the master secret; never shows it."""

    def __init__(self, master: str) -> None:
        self._master = master.encode()
        self._keys: dict[str, bytes] = {}
        self._sealing = AESGCM(self.key("sealing"))

    def key(self, purpose: str) -> bytes:
        """Derive the key of a purpose: 32 bytes, always the same."""
        found = self._keys.get(purpose)
        if found is None:
            info = f"leadflood {purpose}".encode()
            found = HKDF(SHA256(), 32, b"leadflood accounts 1", info).derive(self._master)
            if not purpose.startswith("signing "):
                self._keys[purpose] = found
        return found

    def seal(self, plain: bytes, about: str) -> bytes:
        """Encrypt; only `open` with the same `about` gives it back."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._sealing.encrypt(nonce, plain, about.encode())

    def open(self, sealed: bytes, about: str) -> bytes:
        """Decrypt what was sealed. Raises: Bug when it was changed, or meant for something else."""
        nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return self._sealing.decrypt(nonce, rest, about.encode())
        except InvalidTag as error:
            raise Bug(f"what is sealed for {about} does not open under this secret") from error

    def digest(self, purpose: str, *parts: bytes) -> bytes:
        """Hash under a key of its own, so that nobody without the secret can try values."""
        made = hmac.new(self.key(purpose), digestmod=hashlib.sha256)
        for part in parts:
            made.update(len(part).to_bytes(4, "big") + part)
        return made.digest()


class Seal:
    """Keeps answers that hold secrets: what `Idempotency-Key` remembers of logins and keys."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def seal(self, plain: bytes, about: bytes) -> bytes:
        """Encrypt an answer for its request."""
        return self._vault.seal(plain, f"answer {about.hex()}")

    def open(self, sealed: bytes, about: bytes) -> bytes:
        """Decrypt the answer of that request."""
        return self._vault.open(sealed, f"answer {about.hex()}")

    def digest(self, body_hash: bytes) -> bytes:
        """Hash under a key what a fast hash would give away: a body with a password in it."""
        return self._vault.digest("request body", body_hash)
