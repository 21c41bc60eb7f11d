//! Rules about which public sources are silent or disagree, and the other way to read each of them.
//!
//! Where a rule is uncertain, this crate follows the reading that is written beside it; [`Readings`] chooses the other
//! one, by name, where a check, an evaluation, a text, a new or changed descriptor or a filtered token is asked for. Larger
//! choices have switches of their own in [`CheckOptions`](crate::check::CheckOptions).

bitflags::bitflags! {
    /// The rules that are read the other way. None is, unless it is asked for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Readings: u64 {
        /// An access filter is for subjects that hold its SID. Else it is for everybody.
        const FILTER_FOR_ITS_SID = 1;
        /// A token without an integrity level is at medium. Else it is untrusted.
        const NO_LEVEL_IS_MEDIUM = 1 << 1;
        /// A label says nothing about ACCESS_SYSTEM_SECURITY. Else it is one of the rights to write.
        const LABEL_SPARES_SYSTEM_SECURITY = 1 << 2;
        /// What a privilege gives counts for the package too. Else a package has only what entries give it.
        const PRIVILEGES_FOR_PACKAGES = 1 << 3;
        /// Only packages that are less privileged are among all restricted application packages. Else every one is.
        const RESTRICTED_PACKAGES_ARE_LPAC = 1 << 4;
        /// An entry for OWNER RIGHTS that is only there to be inherited ends the owner's implied rights too. Else it does not.
        const INHERITED_OWNER_RIGHTS = 1 << 5;
        /// An entry's rights are cut down to those the type has. Else they count as they are.
        const RIGHTS_OF_THE_TYPE = 1 << 6;
        /// For a write-restricted token, writing is what the type's mapping says. Else DELETE, WRITE_DAC and WRITE_OWNER are
        /// writing too.
        const WRITING_BY_MAPPING = 1 << 7;
        /// A deny entry whose data is no condition does not apply. Else its condition is unknown, and it does.
        const FOREIGN_DATA_DOES_NOT_DENY = 1 << 8;
        /// A resource attribute that is only there to be inherited is in force. Else it is not.
        const INHERITED_ATTRIBUTES = 1 << 9;
        /// A resource attribute that is there twice is missing. Else the first one is it.
        const REPEATED_ATTRIBUTES_ARE_MISSING = 1 << 10;
        /// A claim for deny only counts in allow entries too. Else it is missing there.
        const DENY_ONLY_CLAIMS_ALLOW = 1 << 11;
        /// An attribute with several values, a SID or bytes is false when it is asked for its truth. Else that is unknown.
        const NO_TRUTH_IS_FALSE = 1 << 12;
        /// Signed and unsigned numbers are compared bit by bit. Else by value.
        const NUMBERS_BY_BITS = 1 << 13;
        /// Texts are ordered in lower case. Else in upper case.
        const TEXT_ORDER_IN_LOWER_CASE = 1 << 14;
        /// One value is not compared with a list of one: that is unknown. Else it is a list of one.
        const ONE_VALUE_IS_NO_LIST = 1 << 15;
        /// Everything contains an empty list and nothing is any of it. Else both are unknown.
        const EMPTY_LISTS_ANSWER = 1 << 16;
        /// Under the rule of a central policy, owning and privileges give nothing. Else they give what they always do.
        const RULES_WITHOUT_OWNER = 1 << 17;
        /// A rule of a central policy without a DACL refuses. Else it grants.
        const RULES_WITHOUT_DACL_REFUSE = 1 << 18;
        /// A rule of a central policy of which it is unknown whether it applies does. Else it does not.
        const UNKNOWN_RULES_APPLY = 1 << 19;
        /// Only enabled groups are audited. Else those for deny only are too.
        const AUDIT_ENABLED_GROUPS = 1 << 20;
        /// An audit entry whose condition is unknown wants no record. Else it does.
        const UNKNOWN_IS_NOT_AUDITED = 1 << 21;
        /// When MAXIMUM_ALLOWED is refused, entries for rights that were asked for by name want a record. Else all with any
        /// right do.
        const MAXIMUM_AUDITED_BY_NAME = 1 << 22;
        /// A user for deny only may be named the owner of a new object. Else it may not.
        const DENY_ONLY_USER_OWNS = 1 << 23;
        /// Audit entries in force on a new object lose ACCESS_SYSTEM_SECURITY, as a right that types do not have. Else they
        /// keep it.
        const AUDIT_WITHOUT_SYSTEM_SECURITY = 1 << 24;
        /// Trust labels and access filters are not inherited. Else they are, as other entries are.
        const TRUST_AND_FILTERS_STAY = 1 << 25;
        /// What a creator below medium makes has no label of its own. Else it has the creator's level.
        const LOW_CREATORS_DO_NOT_LABEL = 1 << 26;
        /// Of an empty list of privileges, a subject has any one. Else it does not.
        const EMPTY_LIST_HAS_ANY = 1 << 27;
        /// What an administrator works with who has not elevated keeps the groups of a domain. Else the powerful ones are
        /// for deny only, as those that are built in.
        const LUA_KEEPS_DOMAIN_GROUPS = 1 << 28;
        /// Text that names object types for an entry of a type without them is wrong. Else it is read without them.
        const PLAIN_ENTRIES_REFUSE_TYPES = 1 << 29;
        /// Text of an entry for object types that names none becomes a plain entry and nothing else. Else the list keeps four
        /// bytes and the revision that the types would have needed.
        const NO_SLACK_FOR_TYPES = 1 << 30;
        /// The flags of an entry are printed in the order of their bits, `CR` in front of `SA` and `FA`. Else `CR` and `TP` are
        /// the last, as the words were added (MS-DTYP 2.5.1.1 names the words and no order).
        const FLAGS_IN_BIT_ORDER = 1 << 31;
        /// The rights to write a key are printed as the letters of their bits, `DCLC` and `RC`. Else as `KW`, as the other
        /// rights to keys and files have their names (MS-DTYP 2.5.1.1).
        const KEY_WRITE_IN_LETTERS = 1 << 32;
        /// What has no text is left out of the text of its list. Else the descriptor has no text
        /// (`ConvertSecurityDescriptorToStringSecurityDescriptor` says ERROR_INVALID_ACL). A text without them may allow more.
        const LEAVE_OUT_WHAT_HAS_NO_TEXT = 1 << 33;
        /// Alarm entries, which are reserved, have no text. Else they have the letters that they are read from, `AL` and `OL`.
        const ALARMS_HAVE_NO_TEXT = 1 << 34;
        /// What an administrator works with who has not elevated keeps the Replicators (S-1-5-32-552). Else they are for deny
        /// only, as the other operators.
        const LUA_KEEPS_REPLICATORS = 1 << 35;
        /// A container drops an entry that only another type of object inherits. Else it passes it on (MS-DTYP 2.5.3.4.4).
        const CONTAINERS_DROP_OTHER_TYPES = 1 << 36;
        /// An object that is no container keeps an entry that only another type inherits, not in force. Else it drops it.
        const LEAVES_KEEP_OTHER_TYPES = 1 << 37;
        /// An entry for a type of object that is inherited by an object of the type still says which one that is. Else what is
        /// in force says so no more, and a container passes on the original beside it.
        const ENTRIES_KEEP_WHO_INHERITS = 1 << 38;
        /// What a creator above medium makes has the creator's level. Else it has no label.
        const HIGH_CREATORS_LABEL = 1 << 39;
        /// A creator may give a new object a label above its own level. Else that needs SeRelabelPrivilege.
        const LABELS_ABOVE_ARE_FREE = 1 << 40;
        /// A creator that gives a label needs SeSecurityPrivilege, as for every entry of a SACL. Else one up to its own level is
        /// free.
        const LABELS_NEED_SECURITY_PRIVILEGE = 1 << 41;
        /// Labels are not inherited. Else they are, as other entries are.
        const LABELS_STAY = 1 << 42;
        /// Packages that are less privileged are among all application packages too. Else only the others are.
        const LPAC_IS_AMONG_ALL_PACKAGES = 1 << 43;
        /// When every node of a list of object types is answered for, what is denied to one is not denied to those above it.
        /// Else it is, unless they had it before.
        const DENIALS_DO_NOT_CLIMB = 1 << 44;
    }
}
