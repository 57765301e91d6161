//! belfry-journal
