select
    loans.loan_id,
    books.title,
    members.member_name,
    loans.lent_on,
    loans.status,
    date_diff('day', loans.lent_on, loans.returned_on) as days_out
from {{ ref('stg_loans') }} as loans
inner join {{ ref('stg_books') }} as books on books.book_id = loans.book_id
inner join {{ ref('stg_members') }} as members on members.member_id = loans.member_id
