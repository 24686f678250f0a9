//! What may be wrong with a store.

macro_rules! flaws {
    ($($flaw:ident,)*) => {
        /// What may be wrong with a store.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Flaw {
            $($flaw,)*
        }

        impl Flaw {
            pub(crate) const ALL: &[Self] = &[$(Self::$flaw,)*];
        }
    };
}

flaws! {
    LastOutcomeStands,
    AlreadyNotTold,
    OutcomeOfOtherCallback,
    CursorGoesBack,
    LaneMovesCursor,
    CursorMakesNoError,
    DuplicateLeavesHalf,
    DuplicateLeavesLedger,
    DuplicateTaken,
    PutBeforeRemoved,
    HolesForgotten,
    AnchorsForgotten,
    NoFence,
    EpochStays,
    AnySite,
    SiteForgotten,
    AttemptStays,
    AttemptAfterOutcome,
    AheadById,
    AheadEmpty,
    LateForgotten,
    UnreadableParsed,
    LatestByEvent,
    LatestOfAll,
    BetweenByArrival,
    HighestIsLast,
    HighestOfAll,
    DeadLettersOfAll,
    DeadLettersOldFirst,
    WorkersStay,
    RefusedLeavesHalf,
    HalfWhenDropped,
    LimitByOne,
    HoldForgotten,
    FirstBeginningStands,
    RetriedStaysDead,
    AllAreDead,
    NeedForgotten,
    LetterForgotten,
    LettersStay,
    LettersTakeOver,
    RewoundForgetsDone,
    RewoundKeepsAll,
    RewoundKeepsInPlace,
    ClockBelieved,
    NothingSwept,
    AllSwept,
    PagesOverlap,
    CountsAll,
    AlwaysRuns,
    VoidStays,
    VoidFreesOffset,
    VoidOutcomeBlocks,
    VoidAttemptStays,
    VoidTakesOneMore,
    VoidKeepsHoles,
    VoidLettersStay,
    MoveForgotten,
}
