//! Many checks at once: one subject and a column of descriptors, or many subjects and one descriptor.
//!
//! Everything that can be done beforehand is done once, and nothing is allocated for an item unless it has an entry with
//! a condition or the question a list of object types. Each answer is the one that [`decide`]
//! gives: it is the same code that runs.
//!
//! ```
//! use vicar_nt::batch::{PreparedSubject, PreparedToken, Question, each_descriptor};
//! use vicar_nt::token::TokenState;
//! use vicar_nt::{GenericMapping, RequestedMask, sddl, well_known};
//! let alice = TokenState::builder(well_known::unix_user(1000)).build().unwrap();
//! let alice = PreparedToken::new(&alice);
//! let files = ["O:SYG:SYD:(A;;FR;;;S-1-22-1-1000)", "O:SYG:SYD:(A;;FA;;;BA)"];
//! let files = files.map(|text| sddl::parse(text, None).unwrap());
//! let read = Question::new(RequestedMask::GENERIC_READ, GenericMapping::FILE);
//! let column = files.iter().map(|file| file.as_ref());
//! let readable = each_descriptor(PreparedSubject::itself(&alice), &read, column).map(|answer| answer.is_ok());
//! assert!(readable.eq([true, false]));
//! ```

mod prepared;

pub use prepared::{PreparedSubject, PreparedToken};

pub use crate::check::Question;
use crate::check::{Denial, Grant, Subject, decide, evaluate};
use crate::descriptor::DescriptorRef;

/// Decides about each of a column of descriptors.
///
/// # Returns
/// The answers, one per descriptor and in their order, each computed when it is taken.
///
/// # Cost
/// One look-up per entry read, whatever the number of groups. No allocation per descriptor, with the exceptions of
/// [`decide`].
///
/// # NT
/// `SeAccessCheck` in a loop.
pub fn each_descriptor<'a>(
    subject: PreparedSubject<'a>,
    question: &Question<'a>,
    descriptors: impl IntoIterator<Item = DescriptorRef<'a>>,
) -> impl Iterator<Item = Result<Grant<'a>, Denial>> {
    let mut request = question.about(subject.subject, None);
    descriptors.into_iter().map(move |descriptor| {
        request.descriptor = Some(descriptor);
        evaluate(&request, subject.effective, &mut ())
    })
}

/// Decides about each of many subjects, for one descriptor.
///
/// # Returns
/// The answers, one per subject and in their order, each computed when it is taken.
///
/// # Cost
/// As for [`decide`]. A token state finds its own SIDs without preparation.
pub fn each_subject<'a>(
    question: &Question<'a>,
    descriptor: DescriptorRef<'a>,
    subjects: impl IntoIterator<Item = Subject<'a>>,
) -> impl Iterator<Item = Result<Grant<'a>, Denial>> {
    let question = *question;
    subjects.into_iter().map(move |subject| decide(&question.about(subject, Some(descriptor))))
}

/// Decides about one prepared subject and one descriptor.
///
/// # Errors
/// - [`Denial`] as for [`decide`].
pub fn decide_prepared<'a>(
    subject: PreparedSubject<'a>,
    question: &Question<'a>,
    descriptor: Option<DescriptorRef<'a>>,
) -> Result<Grant<'a>, Denial> {
    evaluate(&question.about(subject.subject, descriptor), subject.effective, &mut ())
}
