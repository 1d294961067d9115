//! Tries combinations of deviations, those with the fewest first: the simplest explanation wins.

/// How much may be tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// How many bytes are hashed (API v2).
    pub(super) hashed_bytes_max: usize,
    /// How many signatures are verified (API v3), some 30 microseconds each.
    pub(super) verifications_max: usize,
    /// How many deviations at once.
    pub(super) deviations_max: usize,
    /// Longer texts are not spelled in other ways.
    pub(super) spelled_bytes_max: usize,
    /// Whether to look at the signature when something before it is wrong already.
    pub(super) after_a_fault: AfterFault,
}

/// What to do when a message is refused before its signature is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterFault {
    GoOn,
    Stop,
}

impl Effort {
    /// A person waits for the answer.
    pub(super) const LEISURE: Self = Self {
        hashed_bytes_max: 128 * 1024 * 1024,
        verifications_max: 20_000,
        deviations_max: 3,
        spelled_bytes_max: 256 * 1024,
        after_a_fault: AfterFault::GoOn,
    };
    /// A stranger may have asked for it.
    pub(super) const LOG: Self = Self {
        hashed_bytes_max: 512 * 1024,
        verifications_max: 60,
        deviations_max: 1,
        // Callbacks have one or two thousand.
        spelled_bytes_max: 8 * 1024,
        after_a_fault: AfterFault::Stop,
    };
}

/// What a try says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tried {
    /// This explains it.
    Fits,
    /// This does not.
    No,
    /// Enough was tried.
    Enough,
}

impl From<bool> for Tried {
    fn from(fits: bool) -> Self {
        if fits { Self::Fits } else { Self::No }
    }
}

/// Looks for the choice with the fewest deviations that fits. `sizes` says how many options each dimension has; option
/// 0 is how it should be, all others are deviations.
pub(super) fn fewest_deviations(
    sizes: &[usize],
    deviations_max: usize,
    mut fits: impl FnMut(&[usize]) -> Tried,
) -> Option<Vec<usize>> {
    let mut choice = vec![0; sizes.len()];
    for deviations in 0..=deviations_max.min(sizes.len()) {
        match choose(sizes, 0, deviations, &mut choice, &mut fits) {
            Tried::Fits => return Some(choice),
            Tried::Enough => return None,
            Tried::No => {}
        }
    }
    None
}

/// Recursion as deep as there are dimensions, which are fewer than ten.
fn choose(
    sizes: &[usize],
    from: usize,
    deviations: usize,
    choice: &mut [usize],
    fits: &mut impl FnMut(&[usize]) -> Tried,
) -> Tried {
    if deviations == 0 {
        return fits(choice);
    }
    for dimension in from..sizes.len() {
        for option in 1..sizes[dimension] {
            choice[dimension] = option;
            let tried = choose(sizes, dimension + 1, deviations - 1, choice, fits);
            if tried != Tried::No {
                return tried;
            }
        }
        choice[dimension] = 0;
    }
    Tried::No
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_deviations_come_first_and_each_choice_once() {
        let mut seen = Vec::new();
        let found = fewest_deviations(&[2, 3], 2, |choice| {
            seen.push(choice.to_vec());
            Tried::No
        });
        assert_eq!(found, None);
        assert_eq!(seen, [[0, 0], [1, 0], [0, 1], [0, 2], [1, 1], [1, 2]]);
    }

    #[test]
    fn a_search_ends_when_enough_was_tried() {
        let mut left = 3;
        let found = fewest_deviations(&[9, 9, 9], 3, |_| {
            left -= 1;
            if left == 0 { Tried::Enough } else { Tried::No }
        });
        assert_eq!((found, left), (None, 0));
    }
}
