"""Master secret: the keys derived from it seal, sign and hash.

Each purpose has a key of its own (HKDF-SHA256, RFC 5869), so that a key which leaks says nothing
about another. Sealing is AES-256-GCM with a random nonce, bound to a context.
"""

import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from leadflood.engine.errors import Bug, Invalid

NONCE_BYTES = 12
MIN_CHARS = 32


class MasterSecret:
    """Derives keys; never reveals the secret."""

    def __init__(self, master: str) -> None:
        self._master = master.encode()
        self._keys: dict[str, bytes] = {}
        self._sealing = AESGCM(self.derive_key("sealing"))

    def derive_key(self, purpose: str) -> bytes:
        """Derive the key of a purpose: 32 bytes, always the same."""
        key = self._keys.get(purpose)
        if key is None:
            info = f"leadflood {purpose}".encode()
            key = HKDF(SHA256(), 32, b"leadflood accounts 1", info).derive(self._master)
            if not purpose.startswith("signing "):  # of these there is one more at each rotation
                self._keys[purpose] = key
        return key

    def seal(self, plain: bytes, context: str) -> bytes:
        """Encrypt; only `open` with the same context decrypts it."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._sealing.encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypt what was sealed. Raises: Bug when it was changed, or has another context."""
        nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return self._sealing.decrypt(nonce, rest, context.encode())
        except InvalidTag as error:
            raise Bug(f"what is sealed for {context} does not open under this secret") from error

    def digest(self, purpose: str, *parts: bytes) -> bytes:
        """Hash under the key of a purpose, so that nobody without the secret can try values."""
        mac = hmac.new(self.derive_key(purpose), digestmod=hashlib.sha256)
        for part in parts:
            mac.update(len(part).to_bytes(4, "big") + part)
        return mac.digest()


def parse_master_secret(text: str) -> MasterSecret:
    """Return the master secret of a text. Raises: Invalid when it is too short."""
    if len(text) >= MIN_CHARS:
        return MasterSecret(text)
    problem = f"write at least {MIN_CHARS} characters, such as `openssl rand -hex 32`"
    raise Invalid.field(
        "accounts.secret",
        problem,
        detail=f"accounts.secret is too short: {problem}",
        code="accounts.secret.short",
    )


class ResponseSealer:
    """Seals stored responses that hold secrets: `Idempotency-Key` replays logins and new keys."""

    def __init__(self, secret: MasterSecret) -> None:
        self._secret = secret

    def seal(self, plain: bytes, request: bytes) -> bytes:
        """Encrypt the response to a request."""
        return self._secret.seal(plain, f"answer {request.hex()}")

    def open(self, sealed: bytes, request: bytes) -> bytes:
        """Decrypt the response to that request."""
        return self._secret.open(sealed, f"answer {request.hex()}")

    def digest(self, body_hash: bytes) -> bytes:
        """Hash a body that may hold a password, which a hash without a key would give away."""
        return self._secret.digest("request body", body_hash)
