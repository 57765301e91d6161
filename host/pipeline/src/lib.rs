//! belfry-pipeline
