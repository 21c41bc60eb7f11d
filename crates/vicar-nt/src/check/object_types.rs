//! What a question is about, the object or the types of a list, and what each of its nodes was granted.

use crate::check::request::ObjectType;
use crate::guid::Guid;
use crate::mask::AccessMask;

/// What one node was granted and denied. The first entry that mentions a right decides about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// By the reading that goes on.
    pub(super) granted: AccessMask,
    /// By the reading that goes on.
    pub(super) denied: AccessMask,
    /// What the package was granted; nothing is ever denied to it.
    pub(super) package: AccessMask,
    /// What everything that was read before lets through.
    pub(super) left: AccessMask,
}

impl Node {
    pub(super) const fn new(left: AccessMask) -> Self {
        Self { granted: AccessMask::NONE, denied: AccessMask::NONE, package: AccessMask::NONE, left }
    }
}

/// What entries move rights at: one object, or the tree of types of one.
pub(super) trait Nodes {
    const HAS_TYPES: bool;

    fn root(&self) -> Node;
    /// Which node is of this type.
    fn find(&self, guid: Guid) -> Option<usize>;
    /// Grants at a node and below it, and above it what all children have. Returns what is new at the node.
    fn grant(&mut self, at: usize, mask: AccessMask) -> AccessMask;
    /// Grants to the package in the same way.
    fn grant_package(&mut self, at: usize, mask: AccessMask) -> AccessMask;
    /// Denies at a node, below it, and on everything above it that does not have the right yet. Returns what is new at
    /// the node.
    fn deny(&mut self, at: usize, mask: AccessMask) -> AccessMask;
    /// Begins a reading.
    fn begin(&mut self);
    /// Cuts what is left of each node down to what the reading gave it.
    fn cut(&mut self, given: impl Fn(&Node) -> AccessMask);
}

/// The object itself, when no types are asked about.
impl Nodes for Node {
    const HAS_TYPES: bool = false;

    #[inline]
    fn root(&self) -> Node {
        *self
    }

    #[inline]
    fn find(&self, _: Guid) -> Option<usize> {
        None
    }

    #[inline]
    fn grant(&mut self, _: usize, mask: AccessMask) -> AccessMask {
        let moved = mask.without(self.denied | self.granted);
        self.granted |= moved;
        moved
    }

    #[inline]
    fn grant_package(&mut self, _: usize, mask: AccessMask) -> AccessMask {
        let moved = mask.without(self.package);
        self.package |= moved;
        moved
    }

    #[inline]
    fn deny(&mut self, _: usize, mask: AccessMask) -> AccessMask {
        let moved = mask.without(self.granted | self.denied);
        self.denied |= moved;
        moved
    }

    #[inline]
    fn begin(&mut self) {
        *self = Self::new(self.left);
    }

    #[inline]
    fn cut(&mut self, given: impl Fn(&Node) -> AccessMask) {
        self.left &= given(self);
    }
}

const DEEPEST: u16 = 4;

/// Says whether a list is a tree: one root, levels that grow by one at most, no type twice.
///
/// # Source
/// learn.microsoft.com, `OBJECT_TYPE_LIST` and `AccessCheckByType`.
pub(super) fn is_valid(types: &[ObjectType]) -> bool {
    let mut previous: Option<u16> = None;
    for (index, node) in types.iter().enumerate() {
        let fits = match previous {
            None => node.level == 0,
            Some(level) => (1..=DEEPEST).contains(&node.level) && node.level <= level.saturating_add(1),
        };
        let is_repeated = types.iter().take(index).any(|earlier| earlier.guid == node.guid);
        if !fits || is_repeated {
            return false;
        }
        previous = Some(node.level);
    }
    true
}

/// Whether a node is the one at `at`, or below it.
pub(super) fn is_within(types: &[ObjectType], at: usize, node: usize) -> bool {
    let level = types.get(at).map_or(0, |top| top.level);
    let path = types.get(at.saturating_add(1)..node.saturating_add(1)).unwrap_or(&[]);
    node >= at && path.iter().all(|below| below.level > level)
}

/// The nodes of a list of types.
pub(super) struct Tree<'n, 't> {
    types: &'t [ObjectType],
    /// One for each type.
    nodes: &'n mut [Node],
    /// Whether what is denied to a node is denied to those above it.
    denials_climb: bool,
}

impl<'n, 't> Tree<'n, 't> {
    pub(super) fn new(types: &'t [ObjectType], nodes: &'n mut [Node]) -> Self {
        Self { types, nodes, denials_climb: true }
    }

    /// The same, with what is denied to a node left to those above it.
    pub(super) fn without_climbing(types: &'t [ObjectType], nodes: &'n mut [Node]) -> Self {
        Self { types, nodes, denials_climb: false }
    }

    fn level(&self, at: usize) -> u16 {
        self.types.get(at).map_or(0, |node| node.level)
    }

    /// The node and everything below it.
    fn subtree(&self, at: usize) -> core::ops::Range<usize> {
        let level = self.level(at);
        let below = self.types.iter().skip(at).skip(1).take_while(|node| node.level > level).count();
        at..at.saturating_add(1).saturating_add(below)
    }

    fn parent(&self, at: usize) -> Option<usize> {
        let level = self.level(at);
        self.types.get(..at)?.iter().rposition(|node| node.level < level)
    }

    fn climb(&mut self, at: usize, read: fn(&Node) -> AccessMask, write: fn(&mut Node, AccessMask)) {
        let mut from = at;
        while let Some(parent) = self.parent(from) {
            let child_level = self.level(parent).saturating_add(1);
            let range = self.subtree(parent);
            let below = self.types.iter().zip(self.nodes.iter()).skip(range.start).take(range.len());
            let children = below.filter(|(node, _)| node.level == child_level);
            let common = children.fold(AccessMask::truncate(u32::MAX), |mask, (_, node)| mask & read(node));
            if let Some(node) = self.nodes.get_mut(parent) {
                write(node, common);
            }
            from = parent;
        }
    }

    /// Moves rights at a node and below it. Returns what is new at the node.
    fn move_below(&mut self, at: usize, mut give: impl FnMut(&mut Node) -> AccessMask) -> AccessMask {
        let range = self.subtree(at);
        let mut moved = AccessMask::NONE;
        for (index, node) in self.nodes.iter_mut().enumerate().skip(range.start).take(range.len()) {
            let fresh = give(node);
            if index == at {
                moved = fresh;
            }
        }
        moved
    }
}

impl Nodes for Tree<'_, '_> {
    const HAS_TYPES: bool = true;

    fn root(&self) -> Node {
        self.nodes.first().copied().unwrap_or(Node::new(AccessMask::NONE))
    }

    fn find(&self, guid: Guid) -> Option<usize> {
        self.types.iter().position(|node| node.guid == guid)
    }

    #[inline(never)]
    fn grant(&mut self, at: usize, mask: AccessMask) -> AccessMask {
        let moved = self.move_below(at, |node| node.grant(0, mask));
        self.climb(at, |node| node.granted, |node, common| node.granted |= common.without(node.denied));
        moved
    }

    #[inline(never)]
    fn grant_package(&mut self, at: usize, mask: AccessMask) -> AccessMask {
        let moved = self.move_below(at, |node| node.grant_package(0, mask));
        self.climb(at, |node| node.package, |node, common| node.package |= common);
        moved
    }

    #[inline(never)]
    fn deny(&mut self, at: usize, mask: AccessMask) -> AccessMask {
        let moved = self.move_below(at, |node| node.deny(0, mask));
        if !self.denials_climb {
            return moved;
        }
        let mut from = at;
        while let Some(parent) = self.parent(from) {
            if let Some(node) = self.nodes.get_mut(parent) {
                node.denied |= moved.without(node.granted);
            }
            from = parent;
        }
        moved
    }

    fn begin(&mut self) {
        self.nodes.iter_mut().for_each(Nodes::begin);
    }

    fn cut(&mut self, given: impl Fn(&Node) -> AccessMask) {
        self.nodes.iter_mut().for_each(|node| node.cut(&given));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(levels: &[u16]) -> alloc::vec::Vec<ObjectType> {
        let guid = |n: u8| Guid([n; 16]);
        (0u8..).zip(levels).map(|(n, level)| ObjectType { level: *level, guid: guid(n) }).collect()
    }

    #[test]
    fn only_trees_are_lists() {
        for good in [&[][..], &[0], &[0, 1, 2, 2, 1, 2], &[0, 1, 2, 3, 4]] {
            assert!(is_valid(&list(good)), "{good:?}");
        }
        for bad in [&[1][..], &[0, 2], &[0, 0], &[0, 1, 0], &[0, 1, 2, 3, 4, 5]] {
            assert!(!is_valid(&list(bad)), "{bad:?}");
        }
        let mut twice = list(&[0, 1, 1]);
        twice[2].guid = twice[1].guid;
        assert!(!is_valid(&twice));
    }

    #[test]
    fn what_all_children_have_the_parent_has() {
        let types = list(&[0, 1, 2, 2, 1]);
        let mut nodes = [Node::new(AccessMask::NONE); 5];
        let mut tree = Tree::new(&types, &mut nodes);
        let bit = AccessMask::truncate(1);
        let _ = tree.grant(2, bit);
        assert!(tree.nodes[1].granted.is_empty());
        let _ = tree.grant(3, bit);
        assert_eq!(tree.nodes[1].granted, bit);
        assert!(tree.root().granted.is_empty());
        let _ = tree.grant(4, bit);
        assert_eq!(tree.root().granted, bit);
        assert!(tree.deny(3, bit).is_empty());
        assert!(tree.root().denied.is_empty());
    }
}
