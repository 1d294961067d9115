//! What kind of picture some bytes are, by the bytes alone: neither a name nor a `Content-Type` is believed.
//!
//! Only the beginning is read, nothing is decoded. The limits keep a small file from becoming a huge picture where it is
//! decoded.
//!
//! Source: PNG <https://www.w3.org/TR/png-3/>, JPEG <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>, GIF
//! <https://www.w3.org/Graphics/GIF/spec-gif89a.txt>; the kinds that WeChat takes:
//! <https://developers.weixin.qq.com/miniprogram/dev/server/API/kf-mgnt/kf-message/api_uploadtempmedia.html>.

/// The longest side, in pixels. Screenshots of long pages have some 30,000.
pub const SIDE_PIXELS_MAX: u32 = 32_768;

/// The largest picture, in pixels. Large cameras make some 100 million.
pub const PIXELS_MAX: u64 = 1 << 27;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The first chunk of every PNG has this length and name.
const PNG_HEADER: &[u8] = b"\0\0\0\rIHDR";
const JPEG: &[u8] = b"\xff\xd8\xff";

/// A kind of picture that WeChat takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageKind {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// GIF.
    Gif,
}

impl ImageKind {
    /// The kind that the first bytes say.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        match bytes {
            _ if bytes.starts_with(PNG) => Some(Self::Png),
            _ if bytes.starts_with(JPEG) => Some(Self::Jpeg),
            _ if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") => Some(Self::Gif),
            _ => None,
        }
    }

    /// The media type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
        }
    }

    /// The end of a file name.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Gif => "gif",
        }
    }
}

/// What the beginning of a picture says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The kind.
    pub kind: ImageKind,
    /// From left to right.
    pub width_px: u32,
    /// From top to bottom.
    pub height_px: u32,
}

impl Picture {
    /// Looks at the beginning of a picture.
    ///
    /// # Errors
    /// Not a picture, a broken one, or one of excessive measures.
    pub fn inspect(bytes: &[u8]) -> Result<Self, PictureError> {
        let kind = ImageKind::sniff(bytes).ok_or(PictureError::NotAPicture)?;
        let measures = match kind {
            ImageKind::Png => png_measures(bytes),
            ImageKind::Jpeg => jpeg_measures(bytes),
            ImageKind::Gif => gif_measures(bytes),
        };
        let (width_px, height_px) =
            measures.filter(|(width, height)| *width > 0 && *height > 0).ok_or(PictureError::Broken)?;
        let pixels = u64::from(width_px) * u64::from(height_px);
        if width_px.max(height_px) > SIDE_PIXELS_MAX || pixels > PIXELS_MAX {
            return Err(PictureError::TooManyPixels);
        }
        Ok(Self { kind, width_px, height_px })
    }
}

fn png_measures(bytes: &[u8]) -> Option<(u32, u32)> {
    let header = bytes.get(PNG.len()..)?.strip_prefix(PNG_HEADER)?;
    let number = |at: usize| Some(u32::from_be_bytes(*header.get(at..)?.first_chunk()?));
    Some((number(0)?, number(4)?))
}

fn gif_measures(bytes: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| Some(u32::from(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?)));
    Some((number(6)?, number(8)?))
}

/// Goes from segment to segment until one begins a frame.
fn jpeg_measures(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut rest = bytes.get(2..)?;
    loop {
        rest = rest.strip_prefix(b"\xff")?;
        let (marker, after) = rest.split_first()?;
        rest = match marker {
            // Filling: the next byte is the marker.
            0xff => rest,
            // Without content.
            0x01 | 0xd0..=0xd7 => after,
            // A frame; the other three of this range are tables.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let number = |at: usize| Some(u32::from(u16::from_be_bytes(*after.get(at..)?.first_chunk()?)));
                return Some((number(5)?, number(3)?));
            }
            // The end, or the picture itself, before a frame.
            0x00 | 0xd8..=0xda => return None,
            _ => after.get(usize::from(u16::from_be_bytes(*after.first_chunk()?)).max(2)..)?,
        };
    }
}

/// Why bytes are not a picture that is dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// Neither JPEG nor PNG nor GIF.
    #[error("the file is neither JPEG nor PNG nor GIF")]
    NotAPicture,
    /// It begins like a picture and has no measures.
    #[error("the picture is broken")]
    Broken,
    /// Longer or larger than any honest picture.
    #[error("the picture has more than {SIDE_PIXELS_MAX} pixels on a side, or more than {PIXELS_MAX} in all")]
    TooManyPixels,
    /// More bytes than WeChat takes.
    #[error("the picture has more bytes than WeChat takes")]
    TooLarge,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        [PNG, PNG_HEADER, &width.to_be_bytes(), &height.to_be_bytes(), b"\x08\x02\0\0\0"].concat()
    }

    fn gif(width: u16, height: u16) -> Vec<u8> {
        [b"GIF89a".as_slice(), &width.to_le_bytes(), &height.to_le_bytes(), b"\0\0\0"].concat()
    }

    /// An application segment, filling, a table, then a progressive frame.
    fn jpeg(width: u16, height: u16) -> Vec<u8> {
        let frame = [b"\xff\xc2\0\x11\x08".as_slice(), &height.to_be_bytes(), &width.to_be_bytes(), b"\x03"].concat();
        [b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0".as_slice(), b"\xff\xff\xff\xc4\0\x03\0", &frame]
            .concat()
    }

    fn measures(bytes: &[u8]) -> Result<(ImageKind, u32, u32), PictureError> {
        Picture::inspect(bytes).map(|picture| (picture.kind, picture.width_px, picture.height_px))
    }

    #[test]
    fn each_kind_is_known_by_its_bytes() {
        assert_eq!(measures(&png(640, 320)), Ok((ImageKind::Png, 640, 320)));
        assert_eq!(measures(&gif(80, 60)), Ok((ImageKind::Gif, 80, 60)));
        assert_eq!(measures(&jpeg(1080, 30000)), Ok((ImageKind::Jpeg, 1080, 30000)));
    }

    #[test]
    fn what_is_not_a_picture_is_none_whatever_it_is_called() {
        for bytes in
            [b"".as_slice(), b"{}", b"<svg xmlns=", b"<html>", b"BM6", b"RIFF\0\0\0\0WEBP", b"GIF90a", b"\xff\xd8"]
        {
            assert_eq!(measures(bytes), Err(PictureError::NotAPicture), "{bytes:?}");
        }
    }

    #[test]
    fn a_picture_that_breaks_off_anywhere_is_broken_and_nothing_else() {
        for whole in [png(7, 8), gif(7, 8), jpeg(7, 8)] {
            for length in 0..whole.len() {
                let result = measures(&whole[..length]);
                let expected = [PictureError::NotAPicture, PictureError::Broken];
                assert!(result.is_ok() || expected.contains(&result.unwrap_err()), "{length} of {whole:?}");
            }
        }
        let loops = [JPEG, b"\xe0\0\0\0\0"].concat();
        assert_eq!(measures(&loops), Err(PictureError::Broken));
        assert_eq!(measures(&[b"\xff\xd8".as_slice(), &[0xff; 100_000]].concat()), Err(PictureError::Broken));
        assert_eq!(measures(b"\xff\xd8\xff\xda\0\x08"), Err(PictureError::Broken));
    }

    #[test]
    fn a_picture_without_size_or_of_excessive_size_is_refused() {
        for bytes in [png(0, 5), gif(5, 0), jpeg(5, 0)] {
            assert_eq!(measures(&bytes), Err(PictureError::Broken));
        }
        for bytes in [png(SIDE_PIXELS_MAX + 1, 1), png(u32::MAX, u32::MAX), jpeg(30000, 30000), gif(65535, 1)] {
            assert_eq!(measures(&bytes), Err(PictureError::TooManyPixels));
        }
    }
}
