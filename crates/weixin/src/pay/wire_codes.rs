//! Declares WeChat's words once: variant, word, meaning.

macro_rules! wire_codes {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $word:literal $meaning:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = concat!("`", $word, "`: ", $meaning, ".")] $variant,)*
            /// A code that we do not know yet.
            Unknown(String),
        }

        impl $name {
            /// All codes that are documented for the covered endpoints.
            pub const ALL: &[$name] = &[$($name::$variant),*];

            /// WeChat's word.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Unknown(word) => word,
                }
            }

            /// What the code means, in one phrase.
            pub fn meaning(&self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning,)*
                    Self::Unknown(_) => "a code that is not documented",
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(super) use wire_codes;
