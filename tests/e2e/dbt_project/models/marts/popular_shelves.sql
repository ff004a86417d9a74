select
    books.shelf,
    count(*) as times_lent,
    count(distinct loans.member_id) as borrowers
from {{ ref('stg_loans') }} as loans
inner join {{ ref('stg_books') }} as books on books.book_id = loans.book_id
group by books.shelf
