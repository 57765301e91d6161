//! The calls of the OpenAPI that are served.

use hyper::Method;

use crate::fault::Place;

/// One path of the OpenAPI; each has a limit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Api {
    People,
    Group,
    RecallFromPeople,
    RecallFromGroup,
    Download,
    Upload,
    CreateCard,
    UpdateCard,
    StreamCard,
}

impl Api {
    /// The call that is meant.
    pub(crate) fn of(method: &Method, path: &str) -> Option<Self> {
        let (wanted, api) = match path {
            "/v1.0/robot/oToMessages/batchSend" => (Method::POST, Self::People),
            "/v1.0/robot/groupMessages/send" => (Method::POST, Self::Group),
            "/v1.0/robot/otoMessages/batchRecall" => (Method::POST, Self::RecallFromPeople),
            "/v1.0/robot/groupMessages/recall" => (Method::POST, Self::RecallFromGroup),
            "/v1.0/robot/messageFiles/download" => (Method::POST, Self::Download),
            "/media/upload" => (Method::POST, Self::Upload),
            "/v1.0/card/instances/createAndDeliver" => (Method::POST, Self::CreateCard),
            "/v1.0/card/instances" => (Method::PUT, Self::UpdateCard),
            "/v1.0/card/streaming" => (Method::PUT, Self::StreamCard),
            _ => return None,
        };
        (*method == wanted).then_some(api)
    }

    /// Where faults strike it.
    pub(crate) fn place(self) -> Place {
        match self {
            Self::People | Self::Group => Place::OpenApi,
            Self::RecallFromPeople | Self::RecallFromGroup => Place::Recall,
            Self::Download | Self::Upload => Place::Media,
            Self::CreateCard | Self::UpdateCard | Self::StreamCard => Place::Card,
        }
    }
}
