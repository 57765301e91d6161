//! belfry-dingtalk
