//! Comparing an attribute with values.
//!
//! # Source
//! MS-DTYP 2.4.4.17.6.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::claim::{ClaimRef, Value, Values};
use crate::condition::Truth;
use crate::condition::token::{Literal, Literals, Relation};
use crate::reading::Readings;

/// The right side of a comparison.
#[derive(Clone, Copy, Debug)]
pub(super) enum Right<'a> {
    Literal(Literal<'a>),
    Claim(ClaimRef<'a>),
}

#[derive(Clone)]
enum RightValues<'a> {
    One(Option<Value<'a>>),
    List(Literals<'a>),
    Claim(Values<'a>),
}

impl<'a> Iterator for RightValues<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        match self {
            Self::One(value) => value.take(),
            Self::List(list) => list.find_map(|literal| literal.value()),
            Self::Claim(values) => values.next(),
        }
    }
}

impl<'a> Right<'a> {
    fn values(self) -> RightValues<'a> {
        match self {
            Self::Literal(Literal::Composite(list)) => RightValues::List(list.literals()),
            Self::Literal(literal) => RightValues::One(literal.value()),
            Self::Claim(claim) => RightValues::Claim(claim.values()),
        }
    }

    fn is_case_sensitive(self) -> bool {
        match self {
            Self::Literal(_) => false,
            Self::Claim(claim) => claim.is_case_sensitive(),
        }
    }

    /// Returns the value of a side that is not a list.
    fn single(self) -> Option<Value<'a>> {
        match self {
            Self::Literal(literal) => literal.value(),
            Self::Claim(claim) => single(claim),
        }
    }
}

fn single(claim: ClaimRef<'_>) -> Option<Value<'_>> {
    if claim.count() == 1 { claim.values().next() } else { None }
}

/// Compares an attribute that is there with the right side. Types that do not fit together are unknown.
pub(super) fn compare(relation: Relation, left: ClaimRef<'_>, right: Right<'_>, readings: Readings) -> Truth {
    let is_case_sensitive = left.is_case_sensitive() || right.is_case_sensitive();
    let ordered = |accept: fn(Ordering) -> bool| {
        order(left, right, is_case_sensitive, readings).map_or(Truth::Unknown, |o| accept(o).into())
    };
    let sets = Sets { left, right, is_case_sensitive, readings, relation };
    match relation {
        Relation::Less => ordered(Ordering::is_lt),
        Relation::LessOrEqual => ordered(Ordering::is_le),
        Relation::Greater => ordered(Ordering::is_gt),
        Relation::GreaterOrEqual => ordered(Ordering::is_ge),
        Relation::Equal | Relation::NotEqual if sets.is_one_value_with_a_list_of_one() => Truth::Unknown,
        Relation::Equal => sets.are_equal(),
        Relation::NotEqual => sets.are_equal().negated(),
        Relation::Contains => sets.left_has_all(),
        Relation::NotContains => sets.left_has_all().negated(),
        Relation::AnyOf => sets.intersect(),
        Relation::NotAnyOf => sets.intersect().negated(),
    }
}

/// Orders two single values of a type that has an order.
fn order(left: ClaimRef<'_>, right: Right<'_>, is_case_sensitive: bool, readings: Readings) -> Option<Ordering> {
    let (left, right) = (read(single(left)?, readings), read(right.single()?, readings));
    let in_lower_case = !is_case_sensitive && readings.contains(Readings::TEXT_ORDER_IN_LOWER_CASE);
    match (left, right) {
        (Value::Text(left), Value::Text(right)) if in_lower_case => Some(left.cmp_lower_case(right)),
        (Value::Integer(_) | Value::Text(_) | Value::Octets(_), _) => left.order(&right, is_case_sensitive),
        (Value::Boolean(_) | Value::Sid(_) | Value::Fqbn { .. }, _) => None,
    }
}

/// The value as it is compared: of a number, its 64 bits, if that is how numbers are read.
fn read(value: Value<'_>, readings: Readings) -> Value<'_> {
    match value {
        Value::Integer(number) if readings.contains(Readings::NUMBERS_BY_BITS) => {
            Value::Integer(u64::try_from(number).map_or(number, |bits| i128::from(bits.cast_signed())))
        }
        Value::Integer(_)
        | Value::Text(_)
        | Value::Fqbn { .. }
        | Value::Sid(_)
        | Value::Boolean(_)
        | Value::Octets(_) => value,
    }
}

struct Sets<'a> {
    left: ClaimRef<'a>,
    right: Right<'a>,
    is_case_sensitive: bool,
    readings: Readings,
    /// Only `==` and `!=` compare a truth value with a number.
    relation: Relation,
}

/// So many values are looked at one by one.
const FEW: usize = 32;

/// Whether both sides of a comparison are long, and their values in order.
enum Many<'a> {
    No,
    /// They are, and some values have types that do not fit together.
    OfOtherTypes,
    Sorted {
        left: Vec<Value<'a>>,
        right: Vec<Value<'a>>,
    },
}

impl<'a> Sets<'a> {
    fn is_one_value_with_a_list_of_one(&self) -> bool {
        let Right::Literal(Literal::Composite(list)) = self.right else { return false };
        self.readings.contains(Readings::ONE_VALUE_IS_NO_LIST) && self.left.count() == 1 && list.literals().count() == 1
    }

    /// What is said about an empty list.
    fn of_empty(&self, answer: bool) -> Truth {
        if self.readings.contains(Readings::EMPTY_LISTS_ANSWER) { answer.into() } else { Truth::Unknown }
    }

    /// Whether two values are equal; `None` when their types do not fit together.
    fn equal(&self, a: &Value<'_>, b: &Value<'_>) -> Option<bool> {
        let (a, b) = (read(*a, self.readings), read(*b, self.readings));
        let is_equality = matches!(self.relation, Relation::Equal | Relation::NotEqual);
        match (a, b) {
            (Value::Boolean(truth), Value::Integer(number)) | (Value::Integer(number), Value::Boolean(truth))
                if is_equality =>
            {
                matches!(number, 0 | 1).then_some((number == 1) == truth)
            }
            _ => a.order(&b, self.is_case_sensitive).map(Ordering::is_eq),
        }
    }

    /// Whether some value of `values` equals `wanted`.
    fn has<'v>(&self, mut values: impl Iterator<Item = Value<'v>>, wanted: &Value<'_>) -> Option<bool> {
        // Types do not fit: unknown, whatever stands before.
        values.try_fold(false, |found, value| self.equal(&value, wanted).map(|equal| found || equal))
    }

    /// Sorts both sides if both are long, so that it takes no look at all of one for each of the other.
    fn many(&self) -> Many<'a> {
        let is_long = self.left.count() > FEW && self.right.values().nth(FEW).is_some();
        let Some(first) = self.left.values().next().filter(|_| is_long) else { return Many::No };
        // Neither side holds truth values, of which there are two.
        let order = |a: &Value<'_>, b: &Value<'_>| a.order(b, self.is_case_sensitive);
        if self.right.values().any(|value| order(&first, &value).is_none()) {
            return Many::OfOtherTypes;
        }
        let sorted = |values: &mut dyn Iterator<Item = Value<'a>>| {
            let mut values: Vec<Value<'a>> = values.map(|value| read(value, self.readings)).collect();
            values.sort_unstable_by(|a, b| order(a, b).unwrap_or(Ordering::Equal));
            values
        };
        Many::Sorted { left: sorted(&mut self.left.values()), right: sorted(&mut self.right.values()) }
    }

    /// Whether sorted values have one that equals `wanted`.
    fn finds(&self, sorted: &[Value<'_>], wanted: &Value<'_>) -> bool {
        sorted.binary_search_by(|value| value.order(wanted, self.is_case_sensitive).unwrap_or(Ordering::Less)).is_ok()
    }

    fn left_has_all(&self) -> Truth {
        match self.many() {
            Many::No => {}
            Many::OfOtherTypes => return Truth::Unknown,
            Many::Sorted { left, right } => return right.iter().all(|wanted| self.finds(&left, wanted)).into(),
        }
        let mut all = None;
        for wanted in self.right.values() {
            match self.has(self.left.values(), &wanted) {
                Some(found) => all = Some(all.unwrap_or(true) && found),
                None => return Truth::Unknown,
            }
        }
        all.map_or(self.of_empty(true), Truth::from)
    }

    fn right_has_all(&self) -> Truth {
        match self.many() {
            Many::No => {}
            Many::OfOtherTypes => return Truth::Unknown,
            Many::Sorted { left, right } => return left.iter().all(|wanted| self.finds(&right, wanted)).into(),
        }
        let mut all = true;
        for wanted in self.left.values() {
            match self.has(self.right.values(), &wanted) {
                Some(found) => all = all && found,
                None => return Truth::Unknown,
            }
        }
        all.into()
    }

    fn are_equal(&self) -> Truth {
        self.left_has_all().and(self.right_has_all())
    }

    fn intersect(&self) -> Truth {
        match self.many() {
            Many::No => {}
            Many::OfOtherTypes => return Truth::Unknown,
            Many::Sorted { left, right } => return right.iter().any(|wanted| self.finds(&left, wanted)).into(),
        }
        let mut any = None;
        for wanted in self.right.values() {
            match self.has(self.left.values(), &wanted) {
                Some(found) => any = Some(any.unwrap_or(false) || found),
                None => return Truth::Unknown,
            }
        }
        any.map_or(self.of_empty(false), Truth::from)
    }
}
