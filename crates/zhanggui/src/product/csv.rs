//! Products from a table: lines of text with commas, as spreadsheets write them (RFC 4180, UTF-8).
//!
//! The first line names the columns: `sku`, `name`, `price_fen` (or `price`, in yuan) and, if wanted, `active`. Everything
//! is checked before anything is written, and every wrong line is named.

use weixin::Fen;

use super::{Offer, Product};

/// More lines than this are not a mini program's shelf but a catalogue.
const LINES_MAX: usize = 1000;

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {text}")]
pub struct LineError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and how it should be.
    pub text: String,
}

/// Where the columns stand.
struct Columns {
    count: usize,
    sku: usize,
    name: usize,
    price: Price,
    active: Option<usize>,
}

enum Price {
    Fen(usize),
    Yuan(usize),
}

/// Reads a table.
///
/// # Errors
/// Every line that is wrong, in order.
pub fn read(text: &str) -> Result<Vec<Offer>, Vec<LineError>> {
    let mut rows = rows(text.strip_prefix('\u{feff}').unwrap_or(text)).map_err(|error| vec![error])?.into_iter();
    let wrong = |line, text: String| LineError { line, text };
    let (line, titles) = rows.next().ok_or_else(|| vec![wrong(1, "the table is empty".to_owned())])?;
    let columns = Columns::of(&titles).map_err(|text| vec![wrong(line, text)])?;
    let (mut offers, mut errors): (Vec<Offer>, Vec<LineError>) = (Vec::new(), Vec::new());
    for (line, fields) in rows {
        match columns.read(&fields) {
            Ok(offer) if offers.iter().any(|other| other.product.sku == offer.product.sku) => {
                errors.push(wrong(line, format!("the sku {} stands twice", offer.product.sku)));
            }
            Ok(offer) => offers.push(offer),
            Err(text) => errors.push(wrong(line, text)),
        }
    }
    if offers.len() > LINES_MAX {
        errors.push(wrong(line, format!("the table has {} products; at most {LINES_MAX} can be sold", offers.len())));
    }
    if errors.is_empty() { Ok(offers) } else { Err(errors) }
}

impl Columns {
    fn of(titles: &[String]) -> Result<Self, String> {
        let known = ["sku", "name", "price_fen", "price", "active"];
        let titles: Vec<_> = titles.iter().map(|title| title.trim().to_lowercase()).collect();
        if let Some(unknown) = titles.iter().find(|title| !known.contains(&title.as_str())) {
            return Err(format!("there is no column {unknown:?}; there are {}", known.join(", ")));
        }
        if let Some(twice) = known.into_iter().find(|name| titles.iter().filter(|title| title == name).count() > 1) {
            return Err(format!("the column {twice} stands twice"));
        }
        let place = |name: &str| titles.iter().position(|title| title == name);
        let needed = |name: &str| place(name).ok_or_else(|| format!("the column {name} is missing"));
        let price = match (place("price_fen"), place("price")) {
            (Some(column), None) => Price::Fen(column),
            (None, Some(column)) => Price::Yuan(column),
            (None, None) => return Err("the column price_fen (or price, in yuan) is missing".to_owned()),
            (Some(_), Some(_)) => return Err("there must be one price: price_fen or price, in yuan".to_owned()),
        };
        Ok(Self { count: titles.len(), sku: needed("sku")?, name: needed("name")?, price, active: place("active") })
    }

    fn read(&self, fields: &[String]) -> Result<Offer, String> {
        if fields.len() != self.count {
            return Err(format!("has {} fields, the first line has {}", fields.len(), self.count));
        }
        let field = |column: usize| fields[column].trim();
        let price = match self.price {
            Price::Fen(column) => field(column).parse().map(Fen::new).map_err(|_| {
                format!("the price {:?} must be a whole number of fen: 19.90 yuan is 1990", field(column))
            })?,
            Price::Yuan(column) => Fen::from_yuan(field(column))
                .map_err(|_| format!("the price {:?} must be yuan, such as 19.90", field(column)))?,
        };
        let is_active = match self.active.map(|column| field(column).to_lowercase()).as_deref() {
            None | Some("" | "true" | "1" | "yes") => true,
            Some("false" | "0" | "no") => false,
            Some(other) => return Err(format!("active must be true or false, not {other:?}")),
        };
        Ok(Offer { product: Product::new(field(self.sku), field(self.name), price)?, is_active })
    }
}

/// The fields of each line that is not empty, with the number of the line on which it begins.
fn rows(text: &str) -> Result<Vec<(usize, Vec<String>)>, LineError> {
    let (mut rows, mut fields, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut begin) = (1, 1);
    let mut is_quoted = false;
    let mut characters = text.chars().peekable();
    loop {
        let character = characters.next();
        match character {
            None if is_quoted => {
                return Err(LineError { line: begin, text: "a field in quotation marks does not end".to_owned() });
            }
            Some('"') if is_quoted && characters.next_if_eq(&'"').is_some() => field.push('"'),
            Some('"') if is_quoted => is_quoted = false,
            Some('"') if field.is_empty() => is_quoted = true,
            Some(',') if !is_quoted => fields.push(std::mem::take(&mut field)),
            Some('\r') if !is_quoted && characters.peek() == Some(&'\n') => {}
            None | Some('\n') if !is_quoted => {
                fields.push(std::mem::take(&mut field));
                let row = std::mem::take(&mut fields);
                if row.iter().any(|field| !field.trim().is_empty()) {
                    rows.push((begin, row));
                }
                line += 1;
                begin = line;
                if character.is_none() {
                    return Ok(rows);
                }
            }
            Some(other) => {
                line += usize::from(other == '\n');
                field.push(other);
            }
            // `None` inside and outside of quotation marks was met above.
            None => return Ok(rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(usize, &str)]) {
        let errors = read(text).expect_err(text);
        assert_eq!(errors.len(), expected.len(), "{errors:?}");
        for (error, (line, part)) in errors.iter().zip(expected) {
            assert!(error.line == *line && error.text.contains(part), "{error} instead of {line}: {part}");
        }
    }

    #[test]
    fn a_table_of_a_spreadsheet_is_read() {
        let text = "\u{feff}Name,SKU,price,active\r\n\"茶, \"\"明前\"\"\",tea,19.90,\r\n\r\n咖啡,coffee,28.00,no\r\n";
        let offers = read(text).unwrap();
        assert_eq!(offers.len(), 2);
        assert_eq!(offers[0].product, Product::new("tea", "茶, \"明前\"", Fen::new(1990)).unwrap());
        assert!(offers[0].is_active && !offers[1].is_active);
        let fen = read("sku,name,price_fen\ntea,茶,1990").unwrap();
        assert_eq!((fen[0].product.price, fen[0].is_active), (Fen::new(1990), true));
        assert_eq!(read("sku,name,price_fen\n").unwrap(), []);
    }

    #[test]
    fn every_wrong_line_is_named() {
        check("", &[(1, "empty")]);
        check("sku,name\n", &[(1, "price_fen")]);
        check("sku,name,price,price_fen\n", &[(1, "one price")]);
        check("sku,name,price,colour\n", &[(1, "\"colour\"")]);
        check("sku,sku,name,price\n", &[(1, "twice")]);
        check(
            "sku,name,price_fen,active\ntea,茶,19.90,\n,茶,1,\ncup,杯,1,perhaps\ncup,杯\nb,\"\",1,\nb,x🍵,1,\nb,x,0,\n",
            &[(2, "1990"), (3, "sku"), (4, "active"), (5, "2 fields"), (6, "name"), (7, "name"), (8, "amount")],
        );
        check("sku,name,price\ntea,茶,19.905\ntea,茶,1e3\n", &[(2, "19.90"), (3, "19.90")]);
        check("sku,name,price\ntea,茶,1.00\ncup,杯,1.00\ntea,茶,2.00\n", &[(4, "tea stands twice")]);
        check("sku,name,price\ntea,\"茶,1.00\ncup,杯,1.00\n", &[(2, "does not end")]);
        check("sku,name,price\n\"a\nb\",茶,1.00\ncup,杯,x\n", &[(2, "sku"), (4, "price")]);
    }

    proptest! {
        #[test]
        fn any_text_has_an_answer(text in "[a\",\n\r .0-9茶]{0,200}") {
            let _ = read(&text);
            let _ = read(&format!("sku,name,price\n{text}"));
        }
    }
}
