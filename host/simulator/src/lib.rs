//! belfry-simulator
