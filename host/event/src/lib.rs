//! belfry-event
