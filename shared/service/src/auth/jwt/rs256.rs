//! The cryptography of tokens: RS256 by ring, verified and never signed.
//!
//! jsonwebtoken leaves the choice of cryptography to its user. Its own two choices would bring the
//! `rsa` crate, whose timing leak (RUSTSEC-2023-0071) no release mends, or aws-lc, a second C
//! library as large as all of TLS. ring is linked for TLS already. That RS256 is all there is here
//! also means that no header can ask for anything else.

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
    // Of the library's own JWKs, which are not used.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes this what jsonwebtoken verifies with, in all of the process: the library knows no smaller
/// place. To be called before anything is verified, any number of times.
pub(super) fn install() {
    // It fails where there is one already, which is this one: nothing else here installs any.
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
