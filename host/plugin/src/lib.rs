//! belfry-plugin-host
