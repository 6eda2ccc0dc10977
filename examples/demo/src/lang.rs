//! What the page says, in English, French and German.
//!
//! Sentences with a gap are methods of [`Language`], all others are fields of [`Texts`]. Names and
//! numbers go into a sentence as they are; the page escapes the whole.

/// A language the page speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English, which is spoken until another language is chosen.
    #[default]
    English,
    /// French.
    French,
    /// German.
    German,
}

impl Language {
    /// All of them, in the order in which the page offers them.
    pub const ALL: [Self; 3] = [Self::English, Self::French, Self::German];

    /// The code in `/lang/{code}` and in the page's `lang` attribute (BCP 47).
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::French => "fr",
            Self::German => "de",
        }
    }

    /// The language's name for itself.
    pub const fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::French => "Français",
            Self::German => "Deutsch",
        }
    }

    /// The language whose [`code`](Self::code) is `code`, exactly.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|language| language.code() == code)
    }

    /// The sentences without a gap.
    pub const fn texts(self) -> &'static Texts {
        match self {
            Self::English => &ENGLISH,
            Self::French => &FRENCH,
            Self::German => &GERMAN,
        }
    }

    /// The greeting, by name or without.
    pub fn hello(self, user: Option<&str>) -> String {
        let hello = match self {
            Self::English => "Hello",
            Self::French => "Bonjour",
            Self::German => "Hallo",
        };
        match user {
            Some(user) => format!("{hello}, {user}."),
            None => format!("{hello}."),
        }
    }

    /// The flash after `user` has logged in.
    pub fn signed_in_as(self, user: &str) -> String {
        match self {
            Self::English => format!("Signed in as {user}."),
            Self::French => format!("Session ouverte au nom de {user}."),
            Self::German => format!("Angemeldet als {user}."),
        }
    }

    /// The flash after the counter has gone up to `count`.
    pub fn counted_to(self, count: u64) -> String {
        match self {
            Self::English => format!("Counted to {count}."),
            Self::French => format!("Compté jusqu’à {count}."),
            Self::German => format!("Bis {count} gezählt."),
        }
    }

    /// A browser and the system it runs on: "Firefox on Linux".
    pub fn browser_on(self, browser: &str, system: Option<&str>) -> String {
        let Some(system) = system else {
            return browser.to_owned();
        };
        match self {
            Self::English => format!("{browser} on {system}"),
            Self::French => format!("{browser} sur {system}"),
            Self::German => format!("{browser} auf {system}"),
        }
    }

    /// The moment `rfc3339`, to the minute: "21 Nov 2026, 14:05 UTC".
    ///
    /// A text that is no RFC 3339 date in UTC is given back as it is.
    pub fn moment(self, rfc3339: &str) -> String {
        let Some((year, month, day, time)) = in_utc(rfc3339) else {
            return rfc3339.to_owned();
        };
        match self {
            Self::English => {
                let month = ENGLISH_MONTHS[month];
                format!("{day}\u{a0}{month} {year}, {time}\u{a0}UTC")
            }
            Self::French => {
                let month = FRENCH_MONTHS[month];
                format!("{day}\u{a0}{month} {year}, {time}\u{a0}UTC")
            }
            Self::German => {
                let month = GERMAN_MONTHS[month];
                format!("{day}.\u{a0}{month} {year}, {time}\u{a0}UTC")
            }
        }
    }
}

/// The sentences without a gap.
#[derive(Debug)]
#[expect(
    missing_docs,
    reason = "the English text beside each name says it best"
)]
pub struct Texts {
    pub languages: &'static str,
    pub signed_in: &'static str,
    pub signed_out: &'static str,
    pub user: &'static str,
    pub sign_in: &'static str,
    pub sign_out: &'static str,
    pub counter: &'static str,
    pub counter_hint: &'static str,
    pub count: &'static str,
    pub devices: &'static str,
    pub devices_hint: &'static str,
    pub this_device: &'static str,
    pub unknown_device: &'static str,
    pub since: &'static str,
    pub seen: &'static str,
    pub revoke: &'static str,
    pub revoke_others: &'static str,
    pub transfer: &'static str,
    pub transfer_hint: &'static str,
    pub amount: &'static str,
    pub send: &'static str,
    pub kept_in: &'static str,
    pub served_by: &'static str,
    pub as_json: &'static str,
    /// The flash after a logout.
    pub now_signed_out: &'static str,
    /// The flash after a language was chosen.
    pub now_in_this_language: &'static str,
    /// The flash after one other device was signed out.
    pub device_revoked: &'static str,
    /// The flash after all other devices were signed out.
    pub others_revoked: &'static str,
}

const ENGLISH: Texts = Texts {
    languages: "Language",
    signed_in: "You are signed in. Your counter and your language stay with your session.",
    signed_out: "You are not signed in. Pick any name; this demo asks for no password.",
    user: "Your name",
    sign_in: "Sign in",
    sign_out: "Sign out",
    counter: "Your counter",
    counter_hint: "Open a second tab and count there too: no click is lost.",
    count: "Count",
    devices: "Your devices",
    devices_hint: "Everywhere you are signed in. Sign one out, and its next request is a stranger’s.",
    this_device: "This device",
    unknown_device: "Unknown device",
    since: "Signed in",
    seen: "Last seen",
    revoke: "Sign out",
    revoke_others: "Sign out everywhere else",
    transfer: "A guarded form",
    transfer_hint: "It is taken only with this session’s token, which no other site can read. No money moves.",
    amount: "Amount",
    send: "Transfer",
    kept_in: "Your session lives in ",
    served_by: " and is served by ",
    as_json: "See it as JSON",
    now_signed_out: "Signed out.",
    now_in_this_language: "This page now speaks English.",
    device_revoked: "That device is signed out.",
    others_revoked: "Every other device is signed out.",
};

const FRENCH: Texts = Texts {
    languages: "Langue",
    signed_in: "Vous avez ouvert une session. Votre compteur et votre langue y sont conservés.",
    signed_out: "Aucune session ouverte. Choisissez un nom\u{a0}: cette démo ne demande pas de mot de passe.",
    user: "Votre nom",
    sign_in: "Ouvrir une session",
    sign_out: "Se déconnecter",
    counter: "Votre compteur",
    counter_hint: "Comptez aussi dans un second onglet\u{a0}: aucun clic n’est perdu.",
    count: "Compter",
    devices: "Vos appareils",
    devices_hint: "Partout où votre session est ouverte. Un appareil déconnecté redevient un inconnu à sa prochaine requête.",
    this_device: "Cet appareil",
    unknown_device: "Appareil inconnu",
    since: "Depuis le",
    seen: "Vu le",
    revoke: "Déconnecter",
    revoke_others: "Déconnecter tous les autres",
    transfer: "Un formulaire protégé",
    transfer_hint: "Il n’est accepté qu’avec le jeton de cette session, qu’aucun autre site ne peut lire. Aucun argent ne circule.",
    amount: "Montant",
    send: "Virer",
    kept_in: "Votre session est conservée dans ",
    served_by: " et servie par ",
    as_json: "La voir en JSON",
    now_signed_out: "Session fermée.",
    now_in_this_language: "Cette page parle maintenant français.",
    device_revoked: "L’appareil est déconnecté.",
    others_revoked: "Tous les autres appareils sont déconnectés.",
};

const GERMAN: Texts = Texts {
    languages: "Sprache",
    signed_in: "Sie sind angemeldet. Zähler und Sprache bleiben in Ihrer Sitzung.",
    signed_out: "Sie sind nicht angemeldet. Wählen Sie einen Namen; ein Passwort braucht es hier nicht.",
    user: "Ihr Name",
    sign_in: "Anmelden",
    sign_out: "Abmelden",
    counter: "Ihr Zähler",
    counter_hint: "Zählen Sie auch in einem zweiten Tab: Kein Klick geht verloren.",
    count: "Zählen",
    devices: "Ihre Geräte",
    devices_hint: "Überall, wo Sie angemeldet sind. Ein abgemeldetes Gerät ist ab der nächsten Anfrage fremd.",
    this_device: "Dieses Gerät",
    unknown_device: "Unbekanntes Gerät",
    since: "Seit dem",
    seen: "Zuletzt am",
    revoke: "Abmelden",
    revoke_others: "Überall sonst abmelden",
    transfer: "Ein geschütztes Formular",
    transfer_hint: "Es gilt nur mit dem Token dieser Sitzung, das keine andere Website lesen kann. Geld fließt keines.",
    amount: "Betrag",
    send: "Überweisen",
    kept_in: "Ihre Sitzung liegt in ",
    served_by: " und wird bedient von ",
    as_json: "Als JSON ansehen",
    now_signed_out: "Abgemeldet.",
    now_in_this_language: "Diese Seite spricht jetzt Deutsch.",
    device_revoked: "Das Gerät ist abgemeldet.",
    others_revoked: "Alle anderen Geräte sind abgemeldet.",
};

const ENGLISH_MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

const FRENCH_MONTHS: [&str; 12] = [
    "janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.",
    "déc.",
];

const GERMAN_MONTHS: [&str; 12] = [
    "Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.", "Dez.",
];

/// Year, month from zero, day without a leading zero, and `HH:MM`, of a date in UTC.
fn in_utc(rfc3339: &str) -> Option<(&str, usize, &str, &str)> {
    let (date, time) = rfc3339.split_once('T')?;
    time.strip_suffix('Z')
        .or_else(|| time.strip_suffix("+00:00"))?;
    let mut parts = date.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let month = month.parse::<usize>().ok()?.checked_sub(1)?;
    (month < 12).then_some(())?;
    Some((year, month, day.trim_start_matches('0'), time.get(..5)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_names_its_language_and_no_other() {
        for language in Language::ALL {
            assert_eq!(Language::from_code(language.code()), Some(language));
        }
        for code in ["", "EN", "en-GB", "es"] {
            assert_eq!(Language::from_code(code), None);
        }
    }

    #[test]
    fn moments_are_told_to_the_minute_in_each_language() {
        let table = [
            (Language::English, "5\u{a0}Mar 2026, 14:05\u{a0}UTC"),
            (Language::French, "5\u{a0}mars 2026, 14:05\u{a0}UTC"),
            (Language::German, "5.\u{a0}März 2026, 14:05\u{a0}UTC"),
        ];
        for (language, expected) in table {
            for moment in ["2026-03-05T14:05:59.123Z", "2026-03-05T14:05:59+00:00"] {
                assert_eq!(language.moment(moment), expected);
            }
        }
    }

    #[test]
    fn what_is_no_moment_in_utc_is_left_alone() {
        for text in [
            "",
            "yesterday",
            "2026-13-05T14:05:59Z",
            "2026-00-05T14:05:59Z",
            "2026-03-05T14:05:59+01:00",
            "2026-03-05TéééZ",
        ] {
            assert_eq!(Language::English.moment(text), text);
        }
    }
}
