//! Distinguishes office documents from other archives and compound files, by the names of their parts. All reads are
//! bounded; a file whose directory is beyond the bounds keeps its general type.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

const ZIP: &str = "application/zip";
const DOC: &str = "application/msword";
const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const XLS: &str = "application/vnd.ms-excel";
const PPT: &str = "application/vnd.ms-powerpoint";
/// A compound file of another program.
const COMPOUND: &str = "application/x-ole-storage";
/// The first part of an office document is any of several, so that its general type may be found.
const OPEN_XML_PREFIX: &str = "application/vnd.openxmlformats";

/// Bytes at the end of an archive that hold the end of its directory: the record and its longest comment.
const ZIP_TAIL: u64 = 22 + 65_535;
/// Bytes of an archive's directory that are read.
const ZIP_DIRECTORY: u64 = 1024 * 1024;
const END_OF_DIRECTORY: &[u8] = b"PK\x05\x06";
const DIRECTORY_ENTRY: &[u8] = b"PK\x01\x02";

/// Sectors of a compound file's directory that are read.
const DIRECTORY_SECTORS: usize = 64;
/// The first 109 sectors of a compound file's allocation table are named in its header.
const TABLE_SECTORS: usize = 109;

/// The type of a file that begins like an archive or a compound file; all other types stay. It blocks.
pub(super) fn refine(path: &Path, mimetype: &'static str) -> &'static str {
    let is_archive = mimetype == ZIP || (mimetype.starts_with(OPEN_XML_PREFIX) && mimetype != DOCX);
    if !is_archive && mimetype != DOC {
        return mimetype;
    }
    let Ok(mut file) = File::open(path) else { return mimetype };
    if is_archive {
        return if has_word_part(&mut file) == Some(true) { DOCX } else { mimetype };
    }
    compound_type(&mut file).unwrap_or(COMPOUND)
}

/// Source: PKWARE APPNOTE, sections 4.3.12 and 4.3.16.
fn has_word_part(file: &mut File) -> Option<bool> {
    let length = file.metadata().ok()?.len();
    let tail = read_at(file, length.saturating_sub(ZIP_TAIL), ZIP_TAIL)?;
    let end = tail.windows(END_OF_DIRECTORY.len()).rposition(|window| window == END_OF_DIRECTORY)?;
    let (size, start) = (u64::from(u32_at(&tail, end + 12)?), u64::from(u32_at(&tail, end + 16)?));
    let directory = read_at(file, start, size.min(ZIP_DIRECTORY))?;
    let (mut has_types, mut has_document, mut at) = (false, false, 0);
    while directory.get(at..at + 4)? == DIRECTORY_ENTRY {
        let lengths =
            [u16_at(&directory, at + 28)?, u16_at(&directory, at + 30)?, u16_at(&directory, at + 32)?];
        let [name, extra, comment] = lengths.map(usize::from);
        let path = directory.get(at + 46..at + 46 + name)?;
        has_types |= path == b"[Content_Types].xml";
        has_document |= path.starts_with(b"word/");
        if has_types && has_document {
            return Some(true);
        }
        at += 46 + name + extra + comment;
        if at >= directory.len() {
            break;
        }
    }
    Some(false)
}

/// Source: MS-CFB, sections 2.2, 2.3 and 2.6.
fn compound_type(file: &mut File) -> Option<&'static str> {
    let header = read_at(file, 0, 512)?;
    let sector_bytes = match u16_at(&header, 30)? {
        9 => 512_u64,
        12 => 4_096,
        _ => return None,
    };
    let offset = |sector: u32| (u64::from(sector) + 1).checked_mul(sector_bytes);
    let per_sector = u32::try_from(sector_bytes / 4).ok()?;
    let mut sector = u32_at(&header, 48)?;
    for _ in 0..DIRECTORY_SECTORS {
        let entries = read_at(file, offset(sector)?, sector_bytes)?;
        if let Some(found) = entries.chunks_exact(128).find_map(program) {
            return Some(found);
        }
        let table = usize::try_from(sector / per_sector).ok().filter(|table| *table < TABLE_SECTORS)?;
        let table = u32_at(&header, 76 + 4 * table)?;
        let next = read_at(file, offset(table)? + 4 * u64::from(sector % per_sector), 4)?;
        sector = u32_at(&next, 0)?;
    }
    None
}

/// The type of the program that writes a part of this name.
fn program(entry: &[u8]) -> Option<&'static str> {
    // The length in bytes includes the zero at the end of the name.
    let length = usize::from(u16_at(entry, 64)?).checked_sub(2).filter(|length| *length <= 62)?;
    let units = entry.get(..length)?.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    match String::from_utf16(&units.collect::<Vec<_>>()).ok()?.as_str() {
        "WordDocument" => Some(DOC),
        "Workbook" | "Book" => Some(XLS),
        "PowerPoint Document" => Some(PPT),
        _ => None,
    }
}

/// At most `most` bytes from a position.
fn read_at(file: &mut File, at: u64, most: u64) -> Option<Vec<u8>> {
    file.seek(SeekFrom::Start(at)).ok()?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8], mimetype: &'static str) -> &'static str {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        refine(file.path(), mimetype)
    }

    /// An archive of stored parts; the directory follows them.
    fn archive(names: &[&str]) -> Vec<u8> {
        let (mut bytes, mut directory) = (Vec::new(), Vec::new());
        for name in names {
            let length = u16::try_from(name.len()).unwrap().to_le_bytes();
            let start = u32::try_from(bytes.len()).unwrap().to_le_bytes();
            bytes.extend(b"PK\x03\x04");
            bytes.extend([0; 22]);
            bytes.extend(length);
            bytes.extend([0; 2]);
            bytes.extend(name.as_bytes());
            directory.extend(b"PK\x01\x02");
            directory.extend([0; 24]);
            directory.extend(length);
            directory.extend([0; 12]);
            directory.extend(start);
            directory.extend(name.as_bytes());
        }
        let start = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let size = u32::try_from(directory.len()).unwrap().to_le_bytes();
        bytes.extend(directory);
        bytes.extend(b"PK\x05\x06");
        bytes.extend([0; 8]);
        bytes.extend(size);
        bytes.extend(start);
        bytes.extend([0; 2]);
        bytes
    }

    /// A compound file whose directory, in sector 1, has parts of these names; sector 0 is its allocation table.
    fn compound(names: &[&str]) -> Vec<u8> {
        let mut bytes = vec![0; 512 * 3];
        bytes[..8].copy_from_slice(&[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1]);
        bytes[30] = 9;
        bytes[48] = 1;
        bytes[512 + 4..512 + 8].copy_from_slice(&[0xfe, 0xff, 0xff, 0xff]);
        for (number, name) in names.iter().enumerate() {
            let entry = &mut bytes[1_024 + 128 * number..][..128];
            let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
            entry[..units.len()].copy_from_slice(&units);
            entry[64] = u8::try_from(units.len() + 2).unwrap();
        }
        bytes
    }

    #[test]
    fn archive_with_word_parts_is_a_document() {
        let late = ["a.txt", "b.txt", "c.txt", "d.txt", "[Content_Types].xml", "word/document.xml"];
        assert_eq!(of(&archive(&late), ZIP), DOCX);
        for other in [&["word/document.xml"][..], &["[Content_Types].xml", "xl/workbook.xml"], &[]] {
            assert_eq!(of(&archive(other), ZIP), ZIP, "{other:?}");
        }
        for broken in [&b"PK\x03\x04"[..], b"PK\x05\x06", &archive(&late)[..40]] {
            assert_eq!(of(broken, ZIP), ZIP);
        }
    }

    #[test]
    fn compound_file_is_typed_by_its_parts() {
        for (names, mimetype) in [
            (&["Root Entry", "WordDocument"][..], DOC),
            (&["Root Entry", "Workbook"], XLS),
            (&["Root Entry", "PowerPoint Document"], PPT),
            (&["Root Entry", "Other"], COMPOUND),
        ] {
            assert_eq!(of(&compound(names), DOC), mimetype, "{names:?}");
        }
        assert_eq!(of(&compound(&[])[..100], DOC), COMPOUND);
    }

    #[test]
    fn other_types_are_not_read() {
        assert_eq!(of(&archive(&["[Content_Types].xml", "word/document.xml"]), "image/png"), "image/png");
    }
}
