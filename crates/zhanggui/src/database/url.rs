//! Where the database is: `sqlite:PATH` or `postgres://USER:PASSWORD@HOST:PORT/NAME`, never printed with its password.

use std::{fmt, path::PathBuf, str::FromStr};

use postgres::config::Host;

/// The place of a database. Display and Debug leave the password out.
///
/// - `sqlite:PATH` (also `sqlite://PATH`): a file; relative paths count from the working directory.
/// - `postgres://...` or `postgresql://...`: a server, with the usual parameters, of which these have a meaning of their own:
///   `sslmode=disable`; `sslmode=prefer` (the default: encrypts when the server offers it, without proof who the server is);
///   `sslmode=require`, `verify-ca` or `verify-full` (all three: encrypts and verifies certificate and host name);
///   `sslrootcert=FILE` (PEM; these certificates are trusted instead of the machine's; implies `sslmode=require`).
#[derive(Clone)]
pub struct DatabaseUrl(pub(super) Place);

#[derive(Clone)]
pub(super) enum Place {
    Sqlite(PathBuf),
    Postgres(Box<Server>),
}

#[derive(Clone)]
pub(super) struct Server {
    pub(super) config: postgres::Config,
    pub(super) root_certificates: Option<PathBuf>,
}

/// The text is not the URL of a database. The text itself is not repeated, it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It begins neither with `sqlite:` nor with `postgres://` or `postgresql://`.
    #[error("a database URL begins with sqlite: or postgres://")]
    UnknownScheme,
    /// The path behind `sqlite:` is empty, has parameters or names a database in memory.
    #[error("sqlite: must be followed by the path of a file, without parameters")]
    SqlitePath,
    /// What follows `postgres://` cannot be understood.
    #[error(
        "not a PostgreSQL URL of the form postgres://USER:PASSWORD@HOST:PORT/NAME?sslmode=require \
         (special characters in the password must be percent-encoded)"
    )]
    Postgres,
}

impl DatabaseUrl {
    /// The file, if this is a SQLite database.
    #[must_use]
    pub fn sqlite_path(&self) -> Option<&std::path::Path> {
        match &self.0 {
            Place::Sqlite(path) => Some(path),
            Place::Postgres(_) => None,
        }
    }

    /// The URL of a SQLite file.
    #[must_use]
    pub fn sqlite(path: impl Into<PathBuf>) -> Self {
        Self(Place::Sqlite(path.into()))
    }
}

impl FromStr for DatabaseUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if let Some(rest) = text.strip_prefix("sqlite:") {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            if path.is_empty() || path.contains(['?', '\0']) || path.starts_with(':') {
                return Err(UrlError::SqlitePath);
            }
            return Ok(Self::sqlite(path));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self(Place::Postgres(Box::new(parse_server(text)?))));
        }
        Err(UrlError::UnknownScheme)
    }
}

/// Takes the parameters that the driver does not know out of the URL and leaves the rest to it.
fn parse_server(text: &str) -> Result<Server, UrlError> {
    // The driver, too, takes everything before the @ as user and password, even a question mark.
    let host = text.find('@').unwrap_or_default();
    let (address, query) = match text[host..].find('?') {
        Some(mark) => (&text[..host + mark], &text[host + mark + 1..]),
        None => (text, ""),
    };
    let mut root_certificates = None;
    let mut kept = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("sslrootcert", file)) => root_certificates = Some(PathBuf::from(percent_decoded(file)?)),
            Some(("sslmode", "verify-ca" | "verify-full")) => kept.push("sslmode=require"),
            _ => kept.push(parameter),
        }
    }
    if root_certificates.is_some() && !kept.iter().any(|parameter| parameter.starts_with("sslmode=")) {
        kept.push("sslmode=require");
    }
    let config: postgres::Config = format!("{address}?{}", kept.join("&")).parse().map_err(|_| UrlError::Postgres)?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(UrlError::Postgres);
    }
    Ok(Server { config, root_certificates })
}

fn percent_decoded(text: &str) -> Result<String, UrlError> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2).ok_or(UrlError::Postgres)?;
        bytes.extend(hex::decode(digits).map_err(|_| UrlError::Postgres)?);
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| UrlError::Postgres)
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = match &self.0 {
            Place::Sqlite(path) => return write!(f, "sqlite:{}", path.display()),
            Place::Postgres(server) => server,
        };
        f.write_str("postgres://")?;
        if let Some(user) = server.config.get_user() {
            write!(f, "{user}@")?;
        }
        for (index, host) in server.config.get_hosts().iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            match host {
                Host::Tcp(name) => write!(f, "{comma}{name}")?,
                #[cfg(unix)]
                Host::Unix(path) => write!(f, "{comma}{}", path.display())?,
            }
            let ports = server.config.get_ports();
            if let Some(port) = ports.get(index).or(ports.first()) {
                write!(f, ":{port}")?;
            }
        }
        write!(f, "/{}", server.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postgres::config::SslMode;

    fn server(text: &str) -> Server {
        match text.parse::<DatabaseUrl>().unwrap().0 {
            Place::Postgres(server) => *server,
            Place::Sqlite(_) => panic!("not PostgreSQL"),
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        for text in [
            "postgres://shop:ge?sslmode=verify-full&heim@db.example:5433/zhanggui",
            "postgres://shop:geheim%21@db.example:5433/zhanggui?sslmode=require",
            "postgresql://shop@db.example:5433/zhanggui?password=geheim%21",
        ] {
            let url: DatabaseUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), "postgres://shop@db.example:5433/zhanggui");
            assert_eq!(format!("{url:?}"), "postgres://shop@db.example:5433/zhanggui");
        }
    }

    #[test]
    fn an_unreadable_url_is_refused_without_repeating_it() {
        for text in ["postgres://shop:geheim@db:port/x", "postgres://", "postgres://h/x?geheim=1"] {
            assert_eq!(text.parse::<DatabaseUrl>().unwrap_err(), UrlError::Postgres, "{text}");
        }
        assert!(!UrlError::Postgres.to_string().contains("geheim"));
        assert_eq!("mysql://h/x".parse::<DatabaseUrl>().unwrap_err(), UrlError::UnknownScheme);
    }

    #[test]
    fn a_sqlite_path_is_taken_as_it_is() {
        for (text, path) in [
            ("sqlite:data/a.db", "data/a.db"),
            ("sqlite:/var/a b.db", "/var/a b.db"),
            ("sqlite:///var/a.db", "/var/a.db"),
            ("sqlite://a.db", "a.db"),
        ] {
            assert_eq!(text.parse::<DatabaseUrl>().unwrap().sqlite_path(), Some(std::path::Path::new(path)));
        }
        for text in ["sqlite:", "sqlite::memory:", "sqlite:a.db?mode=ro"] {
            assert_eq!(text.parse::<DatabaseUrl>().unwrap_err(), UrlError::SqlitePath);
        }
    }

    #[test]
    fn tls_parameters_are_understood() {
        assert_eq!(server("postgres://h/x").config.get_ssl_mode(), SslMode::Prefer);
        assert_eq!(server("postgres://h/x?sslmode=disable").config.get_ssl_mode(), SslMode::Disable);
        let strict = server("postgres://h/x?sslmode=verify-full&sslrootcert=/etc/my%20ca.pem&application_name=a");
        assert_eq!(strict.config.get_ssl_mode(), SslMode::Require);
        assert_eq!(strict.config.get_application_name(), Some("a"));
        assert_eq!(strict.root_certificates, Some(PathBuf::from("/etc/my ca.pem")));
    }
}
