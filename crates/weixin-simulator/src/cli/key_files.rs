//! Writes the fake keys as files, under the names that merchants know. A file that is there and says something else is
//! never touched: it could be a real key.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    DEMO_MERCHANT_CERTIFICATE_PEM, DEMO_MERCHANT_KEY_PEM, DEMO_MERCHANT_P12, DEMO_PLATFORM_CERTIFICATE_2_PEM,
    DEMO_PLATFORM_CERTIFICATE_PEM, DEMO_PUBLIC_KEY_PEM, DEMO_TLS_AUTHORITY_PEM,
};

const FILES: [(&str, &[u8]); 8] = [
    ("README.txt", README.as_bytes()),
    ("apiclient_key.pem", DEMO_MERCHANT_KEY_PEM.as_bytes()),
    ("apiclient_cert.pem", DEMO_MERCHANT_CERTIFICATE_PEM.as_bytes()),
    ("apiclient_cert.p12", DEMO_MERCHANT_P12),
    ("wechatpay_cert.pem", DEMO_PLATFORM_CERTIFICATE_PEM.as_bytes()),
    ("wechatpay_cert_2.pem", DEMO_PLATFORM_CERTIFICATE_2_PEM.as_bytes()),
    ("pub_key.pem", DEMO_PUBLIC_KEY_PEM.as_bytes()),
    ("tls_authority.pem", DEMO_TLS_AUTHORITY_PEM.as_bytes()),
];

const README: &str =
    "FAKE keys of weixin-simulator. They are published and protect nothing; use them with the simulator only.

apiclient_key.pem     private key of the demonstration merchant
apiclient_cert.pem    certificate of the demonstration merchant
apiclient_cert.p12    the two in one file; the password is 1600000001
wechatpay_cert.pem    WeChat Pay's platform certificate, as the simulator plays it
wechatpay_cert_2.pem  the one after a change of certificates
pub_key.pem           WeChat Pay's public key, as the simulator plays it
tls_authority.pem     who signed the certificate of the simulator's TLS listener
";

/// Writes all files.
pub(super) fn write(directory: &Path) -> Result<(), KeyFileError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| KeyFileError::Unwritable { path, source }
    };
    fs::create_dir_all(directory).map_err(failed(directory))?;
    for (name, content) in FILES {
        let path = directory.join(name);
        match fs::read(&path) {
            Ok(there) if there == content => {}
            Ok(_) => return Err(KeyFileError::Other(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::write(&path, content).map_err(failed(&path))?;
            }
            Err(error) => return Err(failed(&path)(error)),
        }
    }
    Ok(())
}

/// Why the fake keys are not written.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The system does not let it.
    #[error("{path} cannot be written", path = .path.display())]
    Unwritable {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another file of that name is there.
    #[error("{path} is there and is not a fake key of the simulator; choose an empty directory", path = .0.display())]
    Other(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_there_is_never_overwritten() {
        let directory = tempfile::tempdir().expect("a directory");
        write(directory.path()).expect("written");
        write(directory.path()).expect("written again");
        let key = directory.path().join("apiclient_key.pem");
        fs::write(&key, "a real key").expect("written");
        assert!(matches!(write(directory.path()), Err(KeyFileError::Other(path)) if path == key));
        assert_eq!(fs::read_to_string(key).expect("read"), "a real key");
    }
}
