//! Verification of RS256 by ring.
//!
//! jsonwebtoken has a choice of cryptography providers. Its own ones link the `rsa` crate, which
//! has a timing leak that no release fixes (RUSTSEC-2023-0071), or aws-lc, a second C library as
//! large as all of TLS. ring is linked for TLS already. The provider supports RS256 only, so that a
//! token cannot select another algorithm.

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    crypto::{CryptoProvider, JwtVerifier, KeyUtils},
    errors::{ErrorKind, Result},
    signature::{self, Verifier},
};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory: |algorithm, key| Ok(Box::new(Rs256::new(*algorithm, key)?)),
    // Only the library's JWKs need these, and they are not used.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Installs the provider for the process: jsonwebtoken has no narrower scope. Has to run before the
/// first verification; further calls have no effect.
pub(super) fn install() {
    // An error means that the provider is installed already. No other code installs one.
    let _ = PROVIDER.install_default();
}

struct Rs256(RsaPublicKeyComponents<Vec<u8>>);

impl Rs256 {
    fn new(algorithm: Algorithm, key: &DecodingKey) -> Result<Self> {
        match (algorithm, key.kind()) {
            (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                Ok(Self(RsaPublicKeyComponents {
                    n: n.clone(),
                    e: e.clone(),
                }))
            }
            (Algorithm::RS256, _) => Err(ErrorKind::InvalidKeyFormat.into()),
            _ => Err(ErrorKind::UnsupportedAlgorithm.into()),
        }
    }
}

impl Verifier<Vec<u8>> for Rs256 {
    fn verify(
        &self,
        message: &[u8],
        signature: &Vec<u8>,
    ) -> std::result::Result<(), signature::Error> {
        self.0
            .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            .map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Rs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}
