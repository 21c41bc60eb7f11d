//! Finding names of two letters.

/// Where in its table each name of two letters stands: one look-up finds it, whatever the length of the table.
pub(super) struct Pairs {
    /// One more than the place of the name, by its letters; 0 where there is none.
    places: [u8; LETTERS * LETTERS],
}

const LETTERS: usize = 26;

impl Pairs {
    /// Numbers the names of a table; those of another length than two are left out. Of two equal names, the first counts.
    ///
    /// A table of more than 255 names does not compile.
    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "it runs when this is compiled, and what is wrong does not compile"
    )]
    pub(super) const fn of<T>(table: &[(&str, T)]) -> Self {
        assert!(table.len() < 256, "a place is one byte");
        let mut places = [0; LETTERS * LETTERS];
        let mut at: u8 = 0;
        while (at as usize) < table.len() {
            if let [first, second] = table[at as usize].0.as_bytes()
                && let Some(slot) = slot(*first, *second)
                && places[slot] == 0
            {
                places[slot] = at + 1;
            }
            at += 1;
        }
        Self { places }
    }

    /// Returns the place of a name in the table, in either case.
    #[inline]
    pub(super) fn find(&self, first: u8, second: u8) -> Option<usize> {
        let place = *self.places.get(slot(first, second)?)?;
        usize::from(place).checked_sub(1)
    }
}

/// Two letters as a number below 676.
#[inline]
const fn slot(first: u8, second: u8) -> Option<usize> {
    let (first, second) = (first.to_ascii_uppercase(), second.to_ascii_uppercase());
    if !first.is_ascii_uppercase() || !second.is_ascii_uppercase() {
        return None;
    }
    let (first, second) = (first.wrapping_sub(b'A') as usize, second.wrapping_sub(b'A') as usize);
    Some(first.wrapping_mul(LETTERS).wrapping_add(second))
}

#[cfg(test)]
mod tests {
    use super::*;

    static TABLE: [(&str, u32); 5] = [("AZ", 0), ("A", 1), ("ZA", 2), ("AZ", 3), ("ZZ", 4)];
    static PLACES: Pairs = Pairs::of(&TABLE);

    #[test]
    fn every_pair_of_bytes_is_found_or_not() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                let name = [first.to_ascii_uppercase(), second.to_ascii_uppercase()];
                let expected = TABLE.iter().position(|(known, _)| known.as_bytes() == name);
                assert_eq!(PLACES.find(first, second), expected, "{first:#x} {second:#x}");
            }
        }
    }
}
